"""The types of the cache in a user's program."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("user_code.py")


def test_mypy_strict_finds_nothing_wrong_with_a_users_program(tmp_path: Path) -> None:
    program = shutil.copy(PROGRAM, tmp_path / "program.py")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=tmp_path)
    assert done.returncode == 0, done.stdout


def test_pyright_finds_nothing_wrong_with_a_users_program(tmp_path: Path) -> None:
    pyright = Path(sys.executable).with_name("pyright")
    if not pyright.exists() or shutil.which("node") is None:
        pytest.skip("PYRIGHT IS NOT RUN HERE: pyright or node is not installed")
    program = shutil.copy(PROGRAM, tmp_path / "program.py")
    command = [str(pyright), "--pythonpath", sys.executable, str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
