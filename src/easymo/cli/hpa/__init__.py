"""`easymo hpa`: what an autoscaler would do, before it does it."""

import typer

from easymo.cli.hpa.check import EPILOG as CHECK_EPILOG
from easymo.cli.hpa.check import check
from easymo.cli.hpa.options import flags
from easymo.cli.hpa.simulate import EPILOG as SIMULATE_EPILOG
from easymo.cli.hpa.simulate import simulate
from easymo.cli.hpa.tune import EPILOG as TUNE_EPILOG
from easymo.cli.hpa.tune import tune

app = typer.Typer(help="See what a HorizontalPodAutoscaler would do before it does it.", no_args_is_help=True)
app.command(epilog=CHECK_EPILOG)(check)
app.command(epilog=SIMULATE_EPILOG)(flags(simulate))
app.command(epilog=TUNE_EPILOG)(flags(tune))


@app.callback()
def hpa() -> None:
    """See what a HorizontalPodAutoscaler would do before it does it."""
