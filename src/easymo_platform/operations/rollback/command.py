"""`python -m easymo_platform rollback`: the performance note's plan, one step or all of it, on `up` or a cluster."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from easymo_platform.operations.errors import OperationError
from easymo_platform.operations.local.control import platform_here
from easymo_platform.operations.rollback import cluster, local
from easymo_platform.operations.rollback.cluster import Kubectl, current_context
from easymo_platform.operations.rollback.indexes import indexes
from easymo_platform.operations.rollback.plan import STEPS, Action, Outcome

_ALL = "all"


class Report(msgspec.Struct, frozen=True):
    """What `--json` prints. `target` is where; `failed` the sentence of the action that could not be done."""

    target: str
    dry_run: bool
    done: bool
    seconds: float
    outcomes: list[Outcome]
    failed: str = ""


def plan(steps: Sequence[str], options: argparse.Namespace, environ: Mapping[str, str]) -> tuple[str, list[Action]]:
    """Where the rollback takes place, and its actions. Raises OperationError when there is no such place."""
    here = platform_here(environ) if options.on != "cluster" else None
    if here is not None:
        return "local", [action for step in steps for action in _local(step, here)]
    context = current_context() if options.on != "local" else None
    if context is None:
        raise OperationError(
            "There is nothing to roll back from here: no `python -m easymo_platform up` runs on this machine, and "
            "kubectl has no current context. Start the one, or choose the other by `kubectl config use-context`."
        )
    kubectl = Kubectl(context, options.namespace)
    actions = [action for step in steps for action in _of_cluster(step, kubectl, options.manifests, environ)]
    return f"context {context}, namespace {kubectl.namespace}", actions


def _local(step: str, here: Mapping[str, str]) -> list[Action]:
    match step:
        case "application":
            return local.application(here)
        case "autoscaler":
            return local.autoscaler()
        case "cache":
            return local.cache(here)
    return indexes(_database_url(here))


def _of_cluster(step: str, kubectl: Kubectl, manifests: Path | None, environ: Mapping[str, str]) -> list[Action]:
    match step:
        case "application":
            return cluster.application(kubectl)
        case "autoscaler":
            return cluster.autoscaler(kubectl, manifests)
        case "cache":
            return cluster.cache(kubectl)
    return indexes(_database_url(environ))


def perform(actions: Sequence[Action], report: Callable[[Outcome], None]) -> str:
    """Do the actions in order. Returns the sentence of the action that failed; empty when none did."""
    failed = ""
    for action in actions:
        started = time.monotonic()
        if failed:
            report(Outcome(action.step, action.name, action.commands, "not reached", 0.0, ""))
            continue
        try:
            said = action.perform()
        except OperationError as error:
            failed = said = str(error)
        seconds = time.monotonic() - started
        report(Outcome(action.step, action.name, action.commands, "failed" if failed else "done", seconds, said))
    return failed


def show(actions: Sequence[Action], report: Callable[[Outcome], None]) -> None:
    """The dry run: what `perform` would do."""
    for action in actions:
        report(Outcome(action.step, action.name, action.commands, "planned", 0.0, action.remark))


def _database_url(environ: Mapping[str, str]) -> str:
    url = environ.get("DATABASE_URL")
    if not url:
        raise OperationError(
            "DATABASE_URL is not set: indexes are dropped over a connection of the tables' owner. Set it, or roll back "
            "the other steps one by one."
        )
    return url


def main(arguments: list[str]) -> int:
    """Parse, then show or do. Returns 0, 1 when an action failed or there is no platform, 130 after Ctrl-C."""
    options = parser().parse_args(arguments)
    steps = STEPS if options.step == _ALL else (options.step,)
    outcomes: list[Outcome] = []

    def report(outcome: Outcome) -> None:
        outcomes.append(outcome)
        if not options.json:
            _print(outcome)

    started = time.monotonic()
    try:
        target, actions = plan(steps, options, os.environ)
        if not options.json:
            sys.stdout.write(f"Rollback on: {target}\n")
        failed = ""
        if options.yes:
            failed = perform(actions, report)
        else:
            show(actions, report)
    except OperationError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. Run the same command again; every action is safe to repeat.\n")
        return 130
    seconds = time.monotonic() - started
    if options.json:
        result = Report(target, not options.yes, options.yes and not failed, seconds, outcomes, failed)
        sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    else:
        _print_tail(options, failed, seconds)
    return 1 if failed else 0


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    command = argparse.ArgumentParser(
        prog="python -m easymo_platform rollback",
        description="Take the performance changes back, in the order application, autoscaler, cache, indexes, each "
        "alone or all. Without --yes it only prints what it would do. Every action is safe to repeat.",
        epilog="Example: python -m easymo_platform rollback cache --yes",
    )
    command.add_argument("step", nargs="?", choices=(*STEPS, _ALL), default=_ALL, help="default: all")
    command.add_argument("--yes", action="store_true", help="do it")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument(
        "--on", choices=("local", "cluster"), help="default: the `up` of this machine if one runs, else the cluster"
    )
    command.add_argument("--namespace", "-n", default="production", help="of the cluster (default: %(default)s)")
    command.add_argument(
        "--manifests", type=Path, help="autoscalers of before, to apply; default: none, and replicas as they are"
    )
    return command


def _print(outcome: Outcome) -> None:
    time_taken = f" in {outcome.seconds:.1f} s" if outcome.state in ("done", "failed") else ""
    said = f": {outcome.said}" if outcome.said else ""
    sys.stdout.write(f"{outcome.step:<11} {outcome.name}: {outcome.state}{time_taken}{said}\n")
    if outcome.state == "planned":
        sys.stdout.write("".join(f"            {command}\n" for command in outcome.commands))
    sys.stdout.flush()


def _print_tail(options: argparse.Namespace, failed: str, seconds: float) -> None:
    if not options.yes:
        sys.stdout.write("Nothing was done. To do it, add --yes.\n")
    elif failed:
        sys.stdout.write("Not finished. Fix the failure and run the same command again; actions are safe to repeat.\n")
    else:
        sys.stdout.write(f"Done in {seconds:.1f} s.\n")
