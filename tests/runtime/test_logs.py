"""Structured logs."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from easymo_platform.runtime.logs import configure_logs, identify, mask_personal_data


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("call +250788123443 failed", "call +250…43 failed"),
        ("250788123443", "250…43"),
        ("SIM0000000222df82a58699154df34b3d75", "SIM0000000222df82a58699154df34b3d75"),
        ("00000002-22df-82a5-8699-154123453375", "00000002-22df-82a5-8699-154123453375"),
        ("took 12345 ms", "took 12345 ms"),
        ("mail to aline.uwase@example.co.rw", "mail to a…@example.co.rw"),
    ],
)
def test_numbers_keep_country_and_last_digits_and_addresses_their_domain(text: str, masked: str) -> None:
    assert mask_personal_data(text) == masked


@pytest.fixture
def _logs_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()


@pytest.mark.usefixtures("_logs_restored")
def test_a_record_is_one_line_of_json_with_service_and_request_and_without_numbers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs("voice-bridge", "info")
    identify("r-1", "journey-1")
    structlog.get_logger("easymo_platform").info(
        "call_failed", numbers=["+250788123443"], detail={"to": "+250788123444"}
    )
    logging.getLogger("uvicorn.error").warning("lost %s", "+250788123445")
    logging.getLogger("uvicorn.error").debug("never written")
    ours, theirs = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (ours["event"], ours["service"], ours["request_id"], ours["level"]) == (
        "call_failed",
        "voice-bridge",
        "r-1",
        "info",
    )
    assert (ours["numbers"], ours["detail"]) == (["+250…43"], {"to": "+250…44"})
    assert (theirs["event"], theirs["request_id"]) == ("lost +250…45", "r-1")
    assert ours["correlation_id"] == theirs["correlation_id"] == "journey-1"


@pytest.mark.usefixtures("_logs_restored")
def test_a_traceback_is_masked_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("voice-bridge", "info")
    try:
        raise ValueError("no such number: +250788123443")
    except ValueError as error:
        structlog.get_logger("easymo_platform").error("unexpected_error", exc_info=error)
    (line,) = capsys.readouterr().err.splitlines()
    assert "ValueError" in json.loads(line)["exception"]
    assert "788123" not in line
