"""`easymo indexes`: one file a verb; `shared` holds the options that several verbs take."""

import typer

from easymo.cli.indexes import advise, apply, lint, plan, rollback, verify

_ABOUT = "Indexes that SQL files declare: safe to build, worth having, easy to take back."
app = typer.Typer(help=_ABOUT, no_args_is_help=True)

app.command(epilog=lint.EPILOG)(lint.lint)
app.command(epilog=plan.EPILOG)(plan.plan)
app.command(epilog=apply.EPILOG)(apply.apply)
app.command(epilog=rollback.EPILOG)(rollback.rollback)
app.command(epilog=verify.EPILOG)(verify.verify)
app.command(epilog=advise.EPILOG)(advise.advise)
