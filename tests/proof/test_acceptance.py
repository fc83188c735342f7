"""acceptance.toml: what is wrong in it is said with file, line and what is allowed."""

from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from easymo.proof.errors import AcceptanceError
from easymo.proof.system.acceptance import Acceptance, read_acceptance

GOOD = (Path(__file__).parent / "other_system" / "acceptance.toml").read_text()


def write(folder: Path, text: str) -> Path:
    for name in ("schema.sql", "data.sql", "index.sql", "load.py"):
        (folder / name).write_text("")
    file = folder / "acceptance.toml"
    file.write_text(text)
    return file


def refused(folder: Path, old: str, new: str) -> AcceptanceError:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    with pytest.raises(AcceptanceError) as caught:
        read_acceptance(write(folder, text))
    marked = [number for number, line in enumerate(text.splitlines(), 1) if "# HERE" in line]
    if marked:
        assert caught.value.line == marked[0], str(caught.value)
    return caught.value


def test_a_good_file_is_read_whole(tmp_path: Path) -> None:
    acceptance = read_acceptance(write(tmp_path, GOOD))
    assert [p.id for p in acceptance.promises] == ["orders-faster", "impossible", "no-errors"]
    assert acceptance.treatments["memory"].environment == {"REMEMBER_PRICES": "yes"}
    assert acceptance.criteria[0].check[0] == "{python}"


def test_an_unknown_key_is_named_with_its_line_and_the_keys_allowed_there(tmp_path: Path) -> None:
    error = refused(tmp_path, 'scenario = "load.py"', 'scenario = "load.py"\nusers = 50 # HERE')
    assert "unknown key 'users'" in str(error)
    assert "round_s" in error.allowed


def test_an_unknown_key_in_the_second_promise_is_found_there(tmp_path: Path) -> None:
    error = refused(tmp_path, "at_most = -0.999", "at_most = -0.999\ntarget = 3 # HERE")
    assert "'target'" in str(error)
    assert "at_least" in error.allowed


def test_an_unknown_key_in_a_treatment_is_found_there(tmp_path: Path) -> None:
    error = refused(tmp_path, 'files = ["index.sql"]', 'sql = ["index.sql"] # HERE')
    assert "'sql'" in str(error)
    assert "files, rollback, environment" in error.allowed


def test_a_wrong_type_is_named_with_its_line(tmp_path: Path) -> None:
    error = refused(tmp_path, "pairs = 3", 'pairs = "three" # HERE')
    assert "Expected `int`" in str(error)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    error = refused(tmp_path, 'claim = "a thousandth of the statements"\n', "")
    assert "'claim' is missing" in str(error)


def test_a_kind_that_does_not_exist_is_answered_with_the_two_that_do(tmp_path: Path) -> None:
    error = refused(tmp_path, 'kind = "level"', 'kind = "ratio" # HERE')
    assert error.allowed == "change, level"


def test_an_unknown_metric_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    error = refused(tmp_path, '"db_statements_per_request"', '"queries" # HERE')
    assert "capacity_rps" in error.allowed


def test_a_promise_needs_exactly_one_bound(tmp_path: Path) -> None:
    error = refused(tmp_path, "at_most = -0.999", "at_most = -0.999\nat_least = 3")
    assert "exactly one bound" in str(error)


def test_an_error_promise_needs_a_stress_rate(tmp_path: Path) -> None:
    error = refused(tmp_path, '"error_ratio@50"', '"error_ratio@51" # HERE')
    assert "51 requests/s" in str(error)
    assert "50" in error.allowed


def test_a_promise_id_is_used_once(tmp_path: Path) -> None:
    error = refused(tmp_path, 'id = "impossible"', 'id = "orders-faster" # HERE')
    assert "twice" in str(error)


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    error = refused(tmp_path, 'files = ["index.sql"]', 'files = ["indexes.sql"] # HERE')
    assert "indexes.sql" in str(error)


def test_a_treatment_that_changes_nothing_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, 'files = ["index.sql"]', "files = []")
    assert "changes nothing" in str(error)


GRID = """
[break_even]
scales = ["small", "large"]
repeat_read = [0, 1.5]
environment = { SHOP_ITEMS = "{repeat_read}" }

[stress]"""


def test_a_grid_is_read(tmp_path: Path) -> None:
    grid = read_acceptance(write(tmp_path, GOOD.replace("[stress]", GRID, 1))).break_even
    assert grid is not None
    assert (grid.scales, grid.repeat_read, grid.pairs) == (["small", "large"], [0.0, 1.5], 4)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('scales = ["small", "large"]', "scales = [] # HERE", "at least one value"),
        ("repeat_read = [0, 1.5]", "repeat_read = [1, 1.0] # HERE", "none of them twice"),
        ('"{repeat_read}" }', '"5" } # HERE', "every setting would play the same scenario"),
        ("[stress]", "pairs = 1 # HERE\n\n[stress]", "two pairs"),
        ("[stress]", "seconds = 1 # HERE\n\n[stress]", "unknown key 'seconds'"),
    ],
)
def test_a_grid_that_cannot_be_played_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    error = refused(tmp_path, "[stress]", GRID.replace(old, new, 1))
    assert said in str(error)


def test_a_key_of_the_grid_that_does_not_exist_is_answered_with_those_that_do(tmp_path: Path) -> None:
    error = refused(tmp_path, "[stress]", GRID.replace("repeat_read =", "repeats =", 1))
    assert "scales, repeat_read, environment" in error.allowed


def test_an_address_of_a_process_that_does_not_exist_is_answered_with_those_that_do(tmp_path: Path) -> None:
    start = 'start = ["{python}", "server.py", "{port}"]'
    error = refused(tmp_path, start, start.replace('"]', '", "{url:till}"] # HERE'))
    assert "{url:till} names no process" in str(error)
    assert error.allowed == "shop"
    error = refused(tmp_path, start, start + '\nenvironment = { TILL = "{url:till}/pay" } # HERE')
    assert error.allowed == "shop"


def test_two_processes_have_two_names(tmp_path: Path) -> None:
    twin = '[[system.processes]]\nname = "shop" # HERE\nstart = ["{python}"]\n\n[load]'
    assert "two processes are named 'shop'" in str(refused(tmp_path, "[load]", twin))


def test_text_that_is_no_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    error = refused(tmp_path, "pairs = 3", "pairs = = 3 # HERE")
    assert "not valid TOML" in str(error)


def test_a_missing_file_says_how_to_name_another(tmp_path: Path) -> None:
    with pytest.raises(AcceptanceError, match="--acceptance FILE"):
        read_acceptance(tmp_path / "none.toml")


def test_the_reference_names_every_key() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "acceptance.md").read_text()
    seen: set[type[msgspec.Struct]] = set()

    def structs(kind: Any) -> None:
        """Collect every table of the file, however deep."""
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in seen:
            seen.add(kind)
            for inner in get_type_hints(kind).values():
                structs(inner)
        for inner in get_args(kind):
            structs(inner)

    structs(Acceptance)
    assert len(seen) > 8
    keys = [key for struct in seen - {Acceptance} for key in struct.__struct_fields__]
    assert [key for key in keys if f"`{key}`" not in page and f".{key}]" not in page] == []
    for table in Acceptance.__struct_fields__:
        assert f"[{table}" in page, table
