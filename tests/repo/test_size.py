"""No package grows beyond its ceiling by accident."""

import pytest

from tests.repo import size

FOUND = size.sizes()


@pytest.mark.parametrize("package", size.CEILINGS)
def test_a_package_stays_below_its_ceiling(package: str) -> None:
    assert FOUND[package] <= size.CEILINGS[package], "see `make size`, and CEILINGS in tests/repo/size.py"


def test_every_package_has_a_ceiling() -> None:
    named = {name for packages in size.CEILINGS for name in packages.split(" + ")}
    root = size.ROOT / "src"
    there = {f"easymo/{folder.name}" for folder in (root / "easymo").iterdir() if (folder / "__init__.py").exists()}
    assert named - {"easymo_platform"} == there


def test_docstrings_comments_and_blank_lines_are_no_code() -> None:
    code = "x = (1,\n     2)  # two lines", 'def f():\n    """Doc."""\n    return """a\n\nb"""'
    source = "\n\n# comment\n".join(['"""Doc\nstring."""', *code])
    assert size.code_lines(source) == 2 + 1 + 3
