"""`python -m easymo_platform openapi`."""

import json
from pathlib import Path

import pytest

from easymo_platform.operations.openapi import main


def test_documents_are_written_without_a_server(tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path / "api")]) == 0
    titles = {json.loads(file.read_text())["info"]["title"] for file in (tmp_path / "api").glob("*.json")}
    assert titles == {"voice-bridge", "video-orchestrator", "whatsapp-webhook", "agent-core"}


def test_one_document_is_printed(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["agent-core"]) == 0
    assert "/respond" in json.loads(capfdbinary.readouterr().out)["paths"]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["--out", str(tmp_path / "file" / "api")]) == 1
    assert "cannot be written" in capsys.readouterr().err
