"""The mutants of `make mutants` are mistakes in the code as it is now."""

import ast

from drills.mutants.catalogue import ROOT, read_mutants, stale

MUTANTS = read_mutants()


def test_every_mutant_can_be_applied_and_names_tests_that_are_there() -> None:
    assert stale(MUTANTS) == []


def test_there_are_enough_of_them_and_no_two_are_the_same() -> None:
    assert len({(one.file, one.old, one.new) for one in MUTANTS}) == len(MUTANTS) >= 120


def test_a_mutant_of_a_module_is_python_all_the_same() -> None:
    """One that cannot be imported would be killed by any test."""
    for mutant in MUTANTS:
        if mutant.file.endswith(".py"):
            ast.parse(mutant.apply((ROOT / mutant.path).read_text(encoding="utf-8")))


def test_few_are_known_to_survive() -> None:
    assert sum(bool(mutant.survives) for mutant in MUTANTS) <= 0.05 * len(MUTANTS)
