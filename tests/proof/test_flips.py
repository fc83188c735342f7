"""Where verdicts turn on a grid: every boundary once, undecided cells between, and in words."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from easymo.proof.report import break_even_words
from easymo.proof.report.table import markdown_summary
from easymo.proof.verdict.file import BreakEven, Flip, GridCell
from easymo.proof.verdict.flips import find_flips, outcome_of
from easymo.proof.verdict.judge import Decision
from tests.proof.made import made_verdict

SCALES, SETTINGS = ("0.1", "0.35", "1"), (0.0, 1.0, 2.0)
DECISIONS: dict[str, Decision] = {"k": "kept", "b": "broken", "i": "inconclusive"}
rows = st.text("kbi", min_size=3, max_size=3)


def cell(scale: str, setting: float, decision: Decision) -> GridCell:
    share = {0.0: 0.36, 1.0: 0.42, 2.0: 0.88}[setting]
    return GridCell(scale, setting, {"calls": 1000}, 50.0, share, {"none": 100.0}, {}, {"orders-faster": decision})


def grid(*lines: str) -> list[GridCell]:
    """A line per data size, a letter per setting."""
    return [
        cell(scale, setting, DECISIONS[letter])
        for scale, line in zip(SCALES, lines, strict=False)
        for setting, letter in zip(SETTINGS, line, strict=True)
    ]


def flips(cells: Sequence[GridCell]) -> list[tuple[str, str, tuple[str, str]]]:
    return [(flip.axis, flip.at, flip.between) for flip in find_flips(cells, SCALES, SETTINGS)]


def test_a_verdict_that_never_turns_has_no_flip() -> None:
    assert flips(grid("kkk", "kkk", "kkk")) == []
    assert outcome_of(grid("kkk", "kkk", "kkk")) == {"orders-faster": "kept everywhere on this grid"}
    assert outcome_of(grid("bbb", "bbb", "bbb")) == {"orders-faster": "broken everywhere on this grid"}
    assert outcome_of(grid("iii", "iii", "iii")) == {"orders-faster": "decided nowhere on this grid"}


def test_a_promise_of_large_data_turns_between_two_sizes_at_every_setting() -> None:
    assert flips(grid("bbb", "kkk", "kkk")) == [("scale", at, ("0.1", "0.35")) for at in ("0", "1", "2")]


def test_a_promise_of_a_cache_turns_between_two_settings() -> None:
    assert flips(grid("bbk", "bbk", "bbk")) == [("repeat_read", at, ("1", "2")) for at in SCALES]


def test_a_cell_that_decides_nothing_widens_the_boundary() -> None:
    assert flips(grid("bik")) == [("repeat_read", "0.1", ("0", "2"))]
    assert outcome_of(grid("bik")) == {"orders-faster": "kept in 1, broken in 1, undecided in 1 of 3 cells"}


def test_a_verdict_may_turn_back() -> None:
    found = find_flips(grid("kbk"), SCALES, SETTINGS)
    assert [flip.verdicts for flip in found] == [("kept", "broken"), ("broken", "kept")]


def test_a_size_that_was_not_measured_is_passed_over() -> None:
    cells = [c for c in grid("bbb", "bbb", "kkk") if c.scale != "0.35"]
    assert flips(cells) == [("scale", at, ("0.1", "1")) for at in ("0", "1", "2")]


@given(rows)
def test_flips_along_a_line_are_the_changes_of_its_decided_cells(line: str) -> None:
    decided = [letter for letter in line if letter != "i"]
    changes = sum(one != other for one, other in pairwise(decided))
    assert len(find_flips(grid(line), SCALES, SETTINGS)) == changes


def test_words_name_the_size_and_the_measured_share_of_repeated_reads() -> None:
    cells = grid("bbb", "kkb", "kkk")
    found = BreakEven([*SCALES], [*SETTINGS], 4, 3.5, cells, find_flips(cells, SCALES, SETTINGS), outcome_of(cells))
    result = replace(made_verdict(), break_even=found)
    (line,) = break_even_words.lines(result)
    assert line.startswith("the claim of orders-faster")
    assert "kept in 5, broken in 4 of 9 cells" in line
    assert "broken at data size 0.1, kept at 0.35 (with 36–42 % of the reads repeated)" in line
    assert "at data size 0.35 kept with 42 % of the reads repeated, broken with 88 %" in line
    assert line.count("data size 0.1") == 1, "two settings that turn at the same sizes are told once"
    assert f"Break-even:\n\n- {line}\n" in markdown_summary(result)
    assert "Break-even" not in markdown_summary(made_verdict())


def test_flips_are_told_per_promise() -> None:
    cells = [replace(c, verdicts={**c.verdicts, "no-errors": "kept"}) for c in grid("bbb", "kkk", "kkk")]
    assert {flip.promise for flip in find_flips(cells, SCALES, SETTINGS)} == {"orders-faster"}
    assert isinstance(find_flips(cells, SCALES, SETTINGS)[0], Flip)
