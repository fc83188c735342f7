"""How `status` prints what it has seen: for people, in 80 columns."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from easymo_platform.operations.status.database import DatabaseStatus
from easymo_platform.operations.status.problems import Problem
from easymo_platform.operations.status.services import Queues, ServiceStatus
from easymo_platform.operations.status.statements import SlowStatement

_NOTHING = "-"
_STATEMENT_CHARACTERS, _PLAN_LINES = 240, 12


def print_services(console: Console, services: list[ServiceStatus]) -> None:
    """One line each."""
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
    table.add_column("service", no_wrap=True)
    for heading in ("req/s", "P95 ms", "P99 ms", "errors", "hits", "pool", "memory"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("redis", no_wrap=True)
    for service in services:
        if service.unreachable_because:
            table.add_row(service.service, "[red]down[/red]")
            continue
        table.add_row(
            service.service,
            f"{service.requests_rps:.1f}",
            _number(service.p95_ms),
            _number(service.p99_ms),
            _share(service.error_ratio),
            _share(service.hit_ratio),
            f"{service.pool_in_use}/{service.pool_size}" + (f"+{service.pool_waiting}" if service.pool_waiting else ""),
            _share(service.memory_ratio),
            service.redis,
        )
    console.print(table)


def print_queues(console: Console, waiting: Queues) -> None:
    """Messages and renders."""
    console.print(
        f"messages  {_count(waiting.messages_to_answer)} to answer, {_count(waiting.messages_to_send)} to send, "
        f"oldest due {_age(waiting.oldest_message_s)}, {_count(waiting.dead_letters)} dead letters, "
        f"{_count(waiting.handoffs)} conversations for a person, {_count(waiting.events)} events of Meta"
    )
    console.print(f"renders   {_count(waiting.renders_waiting)} waiting, oldest {_age(waiting.oldest_render_s)}")


def print_database(console: Console, database: DatabaseStatus) -> None:
    """Connections, the slowest statements, idle indexes."""
    if database.unreachable_because:
        return  # it is the first of the problems
    console.print(f"postgres  {database.connections} of {database.max_connections} connections")
    console.print(f"\nSlowest statements {database.slow_since}{':' if database.slow else ': none.'}")
    for number, statement in enumerate(database.slow, start=1):
        _print_statement(console, number, statement)
    idle = database.unused_indexes
    if idle:
        names = "".join(f"\n   {index.index} on {index.table}, {index.size_bytes / 1e6:.1f} MB" for index in idle[:3])
        console.print(f"\n{len(idle)} indexes were never read since Postgres counts, the largest:{escape(names)}")


def print_problems(console: Console, problems: list[Problem]) -> None:
    """Each with the page to read; or that there is none."""
    if not problems:
        console.print("[green]Nothing is wrong.[/green]")
    for problem in problems:
        console.print(f"[red]![/red] {escape(problem.sentence)}")
        console.print(f"  {problem.runbook}")


def _print_statement(console: Console, number: int, slow: SlowStatement) -> None:
    text = slow.name or slow.statement
    text = text if len(text) <= _STATEMENT_CHARACTERS else f"{text[:_STATEMENT_CHARACTERS]}…"
    spent = f"{slow.total_ms:.0f} ms in {slow.calls} calls, {slow.mean_ms:.2f} ms each"
    console.print(f"[bold]{number}.[/bold] {spent}: {escape(text)}")
    shown = slow.plan[:_PLAN_LINES] + (["…"] if len(slow.plan) > _PLAN_LINES else [])
    for line in shown:
        console.print(f"   {escape(line)}", overflow="ellipsis", no_wrap=True)
    if slow.no_plan_because:
        console.print(f"   no plan: {escape(slow.no_plan_because)}")
    if slow.missing:
        console.print(f"   [red]missing:[/red] {escape(', '.join(slow.missing))}")
    elif slow.scanned:
        tables = ", ".join(slow.scanned)
        console.print(f"   reads {escape(tables)} from end to end; `easymo indexes advise` looks for an index")


def _number(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.1f}"


def _share(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.0%}" if value == 0 or value >= 0.01 else f"{value:.2%}"


def _count(value: int | None) -> str:
    return "?" if value is None else str(value)


def _age(value: float | None) -> str:
    return "?" if value is None else f"{value:.0f} s"
