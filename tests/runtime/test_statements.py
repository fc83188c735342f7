"""Named statements from a queries.sql."""

import re
from pathlib import Path

import pytest

from easymo_platform.runtime.statements import read_statements

PLATFORM = Path(__file__).parents[2] / "src" / "easymo_platform"


def test_named_parameters_become_positions_and_casts_stay(tmp_path: Path) -> None:
    file = tmp_path / "queries.sql"
    file.write_text(
        "-- name: calls(status, since)\n-- newest first\nselect id::text, ':status' from calls "
        "where status = :status::text and (:since::timestamptz is null or at > :since) and status <> 'a:b';\n"
    )
    statement = read_statements(file)["calls"]
    assert statement.parameters == ("status", "since")
    assert "where status = $1::text and ($2::timestamptz is null or at > $2) and status <> 'a:b'" in statement.text
    assert "select id::text, ':status'" in statement.text
    assert statement.bind({"since": 2, "status": 1}) == [1, 2]


@pytest.mark.parametrize("arguments", [{}, {"since": 1}, {"since": 1, "until": 2}, {"since": 1, "status": 2, "x": 3}])
def test_wrong_arguments_are_refused_before_they_reach_the_server(tmp_path: Path, arguments: dict[str, int]) -> None:
    file = tmp_path / "queries.sql"
    file.write_text("-- name: calls(status, since)\nselect :status, :since;\n")
    with pytest.raises(TypeError, match="calls takes status, since"):
        read_statements(file)["calls"].bind(arguments)


FROZEN = {"user_by_phone"}
"""A hot query of the note whose look-up is a sub-select of `insert_call` now."""


@pytest.mark.parametrize("service", ["voice_bridge", "whatsapp_webhook", "agent_core"])
def test_a_service_uses_every_statement_of_its_file_and_no_other(service: str) -> None:
    written = set(read_statements(PLATFORM / service / "queries.sql"))
    code = "\n".join(path.read_text() for path in (PLATFORM / service).glob("*.py"))
    used = set(re.findall(r'(?:fetch(?:_row)?|_write)\(\s*"(\w+)"', code))
    assert used == written - FROZEN
