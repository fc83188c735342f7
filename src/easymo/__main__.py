"""`python -m easymo` is the `easymo` command."""

from easymo.cli import main

main()
