"""``python -m easymo.cli`` is the ``easymo`` command."""

from easymo.cli.main import main

main()
