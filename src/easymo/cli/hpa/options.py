"""What `simulate` and `tune` both ask for: flag, keyword and default of each option stand here once."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from msgspec import Struct

if TYPE_CHECKING:  # the engine needs the extra `hpa`: other commands must start without it
    from easymo.hpa.conditions import Conditions
    from easymo.hpa.replay import Replay

Files = Annotated[list[Path], typer.Argument(metavar="FILE|DIR...", help="Manifests, folders or kustomizations.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print everything as JSON, and nothing else.")]


def option(help: str, *names: str, metavar: str | None = None) -> Any:
    """An option of the command line."""
    return typer.Option(*names, help=help, metavar=metavar)


class Model(Struct, kw_only=True):
    """Everything about demand, pods, metrics and the controller that a manifest does not say."""

    trace: Annotated[
        Path | None, option("Demand: CSV time,value[,series], Prometheus range, access log.", metavar="FILE")
    ] = None
    shape: Annotated[str | None, option("Made-up demand: spike, day, step or sawtooth.", metavar="NAME")] = None
    base: Annotated[float | None, option("Lowest requests/s of the shape. Default: a fifth of the peak.")] = None
    peak: Annotated[float | None, option("Highest requests/s of the shape. Default: 80 % of maxReplicas.")] = None
    hold_gaps: Annotated[bool, option("Let values hold over missing rows of a trace.", "--hold-gaps")] = False
    capacity: Annotated[float | None, option("Requests/s that one ready pod serves.")] = None
    verdict: Annotated[
        Path | None, option("Take the capacity from a verdict.json of `easymo prove`.", metavar="FILE")
    ] = None
    arm: Annotated[str, option("The arm of the verdict whose capacity counts.")] = "both"
    names: Annotated[list[str] | None, option("Only this autoscaler. Repeatable.", "--hpa", metavar="NAME")] = None
    metrics: Annotated[
        list[str] | None,
        option(
            "Where a metric gets its values: the trace itself, a SERIES of it, 100Mi+SERIES (shared by the pods), a "
            "fixed share (60%), queue, jobs or failing.",
            "--metric",
            metavar="NAME[=SOURCE]",
        ),
    ] = None
    overload: Annotated[str, option("Demand above capacity waits (queue) or is refused (shed).")] = "queue"
    startup_s: Annotated[float, option("Seconds from the decision to a running container.", "--startup")] = 20
    readiness_delay_s: Annotated[float, option("Seconds from running to ready.", "--readiness-delay")] = 10
    metric_lag_s: Annotated[
        float, option("Age of a sample when the autoscaler sees it, in seconds.", "--metric-lag")
    ] = 30
    custom_lag_s: Annotated[
        float | None, option("The same of Pods, Object and External metrics. Default: --metric-lag.", "--custom-lag")
    ] = None
    scrape_interval_s: Annotated[
        float, option("Put samples on a grid of so many seconds, as means over them.", "--scrape-interval")
    ] = 0
    first_sample_s: Annotated[float, option("Seconds that a pod runs before it has a sample.", "--first-sample")] = 0
    full_percent: Annotated[float, option("CPU of a pod at its capacity, % of request.", "--cpu-at-capacity")] = 100
    constant_cpu_m: Annotated[
        float, option("Millicores that each running pod always uses: a sidecar.", "--constant-cpu")
    ] = 0
    startup_cpu: Annotated[
        str | None, option("Least CPU of a pod that has just started, such as 200%:50s.", metavar="PERCENT:TIME")
    ] = None
    pods: Annotated[
        Path | None, option("What is known of single pods: CSV pod,time|age[,ready,cpu,memory].", metavar="FILE")
    ] = None
    rollouts: Annotated[
        list[str] | None, option("Roll out a new version, such as at=10m. Repeatable.", "--rollout", metavar="at=TIME")
    ] = None
    resizes: Annotated[
        list[str] | None, option("Set a size by hand, such as 9@10m. Repeatable.", "--resize", metavar="SIZE@TIME")
    ] = None
    failures: Annotated[
        list[str] | None,
        option("A metric fails for a time, such as cpu@1m-3m. Repeatable.", "--fail", metavar="NAME@FROM-TO"),
    ] = None
    cluster_full: Annotated[
        list[str] | None, option("New pods stay Pending, such as 0-4m. Repeatable.", metavar="FROM-TO")
    ] = None
    sync_period_s: Annotated[float, option("Seconds between two syncs.", "--sync-period")] = 15
    tolerance: Annotated[float, option("The controller's tolerance, where a manifest sets none.")] = 0.1
    downscale_window_s: Annotated[
        float, option("The controller's scale-down window, in seconds.", "--downscale-window")
    ] = 300
    cpu_initialization_s: Annotated[
        float, option("The controller's CPU initialization period, in seconds.", "--cpu-initialization-period")
    ] = 300
    initial_readiness_delay_s: Annotated[
        float, option("The controller's initial readiness delay, in seconds.", "--initial-readiness-delay")
    ] = 30
    pod_hour_price: Annotated[float | None, option("Price of a pod-hour.", "--price")] = None

    def conditions(self, **more: Any) -> "Conditions":
        """The options that are fields of `Conditions`, by the same names, and `more` of them.

        Raises:
            HpaError: unless there is either a capacity or a verdict, and for values out of range.
        """
        from easymo.hpa.conditions import Conditions
        from easymo.hpa.errors import HpaError
        from easymo.hpa.happenings import happenings
        from easymo.hpa.inputs import capacity_from
        from easymo.hpa.pod_rows import read_pod_rows

        if (self.capacity is None) == (self.verdict is None):
            raise HpaError(
                "Say what one ready pod serves: either --capacity REQUESTS_PER_SECOND, or --verdict verdict.json "
                "as `easymo prove` writes it."
            )
        if self.overload not in ("queue", "shed"):
            raise HpaError(
                f"--overload {self.overload}: what is above capacity either waits (queue) or is refused (shed)."
            )
        given = {name: getattr(self, name) for name in Conditions.__struct_fields__ if hasattr(self, name)}
        given["pods"] = None if self.pods is None else read_pod_rows(self.pods)
        given |= happenings(
            rollouts=self.rollouts,
            resizes=self.resizes,
            failures=self.failures,
            cluster_full=self.cluster_full,
            startup_cpu=self.startup_cpu,
        )
        if self.verdict is not None:
            given["capacity"] = capacity_from(self.verdict, self.arm)
        return Conditions(**given, **more)

    def replay(self) -> "Replay":
        """Where the demand comes from."""
        from easymo.hpa.replay import replay_of

        return replay_of(self.trace, self.shape, self.base, self.peak, self.metrics or (), hold_gaps=self.hold_gaps)


def flags(command: Callable[..., None]) -> Callable[..., None]:
    """`command(files, model, ...)` as one that takes each field of `Model` as an option of its own."""
    hints = get_type_hints(command, include_extras=True)
    shared = get_type_hints(Model, include_extras=True)
    parameters = []
    for parameter in inspect.signature(command).parameters.values():
        if hints[parameter.name] is not Model:
            parameters.append(parameter.replace(annotation=hints[parameter.name]))
            continue
        for name, default in zip(Model.__struct_fields__, Model.__struct_defaults__, strict=True):
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters.append(inspect.Parameter(name, kind, default=default, annotation=shared[name]))

    def flat(**values: Any) -> None:
        model = Model(**{name: values.pop(name) for name in shared})
        command(model=model, **values)

    flat.__name__, flat.__doc__ = command.__name__, command.__doc__
    kinds = inspect.Parameter.KEYWORD_ONLY
    flat.__signature__ = inspect.Signature([p.replace(kind=kinds) for p in parameters])  # type: ignore[attr-defined]
    flat.__annotations__ = {p.name: p.annotation for p in parameters}
    return flat
