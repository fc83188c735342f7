"""``python -m easymo.cli`` is the ``easymo`` command."""

from easymo.cli.start import main

main()
