"""`easymo load`: the open-model load generator on the command line, one file a verb."""

import typer

from easymo.cli.load import init, run

app = typer.Typer(help="Send load at a fixed arrival rate and measure it honestly.", no_args_is_help=True)
app.command(epilog=run.EPILOG)(run.run)
app.command(epilog=init.EPILOG)(init.init)
