"""The memory that a process may use: the machine's, or less in a container."""

import os
from pathlib import Path

import pytest

from easymo.embedded.machine import memory_bytes

MIB = 1024 * 1024
MACHINE = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        pytest.param("memory.max", f"{96 * MIB}\n", 96 * MIB, id="version 2"),
        pytest.param("memory.max", "max\n", MACHINE, id="version 2 without a limit"),
        pytest.param("memory/memory.limit_in_bytes", f"{32 * MIB}\n", 32 * MIB, id="version 1"),
        pytest.param("memory/memory.limit_in_bytes", f"{2**63}\n", MACHINE, id="version 1 without a limit"),
        pytest.param("other", "", MACHINE, id="no control groups"),
    ],
)
def test_a_containers_limit_counts_where_it_is_lower(file: str, content: str, expected: int, tmp_path: Path) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(content)
    assert memory_bytes(tmp_path) == expected
