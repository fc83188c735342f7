"""`python -m easymo` is the `easymo` command."""

from easymo.cli.main import main

main()
