"""What became of each statement: helped, fast enough, helped by no index, or not tried; every one is exactly one."""

from collections.abc import Sequence

from easymo.indexes.advise import judgement
from easymo.indexes.advise.advice import Kind, Outcome
from easymo.indexes.advise.search import Search
from easymo.indexes.advise.workload import Work
from easymo.indexes.binding import Bound
from easymo.indexes.conditions import columns_in, unqualified
from easymo.indexes.hotqueries import HotQuery
from easymo.indexes.parser import of_kind

_NAMED = 4  # of the candidates that were tried
_TRIGRAMS = {"~~", "~~*", "~", "~*"}


def outcomes(work: Work, search: Search, budget_bytes: int | None) -> list[Outcome]:
    """One for each statement, in the order of the workload."""
    return [_outcome(work, search, statement, budget_bytes) for statement in work.statements]


def _outcome(work: Work, search: Search, statement: HotQuery, budget_bytes: int | None) -> Outcome:
    def said(kind: Kind, why: str, *ms: float) -> Outcome:
        return Outcome(
            statement.name, statement.text, statement.calls_per_minute, kind, why, *(round(m, 3) for m in ms)
        )

    if statement.name in work.untried:
        return said(Kind.UNTRIED, work.untried[statement.name])
    mine = [query for query in work.queries if query.hot is statement]
    measured = [query for query in mine if query.name in search.after]
    if not measured:
        return said(Kind.UNTRIED, f"the copy cannot run it: {search.refused[mine[0].name]}")
    rate = statement.calls_per_minute or 1.0
    before, after = (
        sum(query.weight * times[query.name].ms for query in measured) / rate for times in (search.before, search.after)
    )
    indexes = [c for c in search.built if search.queries_of(c.qualified) & {query.name for query in measured}]
    if indexes and any(search.after[q.name].differs_from(search.before[q.name]) for q in measured):
        return said(Kind.HELPED, ", ".join(candidate.qualified for candidate in indexes), before, after)
    share = after * rate / (search.total_ms(search.after) or 1.0)
    scanned = {table for query in measured for table in search.after[query.name].scanned}
    if share <= judgement.MATTERS or after <= judgement.FAST_MS:
        return said(Kind.FAST, f"{after:.2f} ms, {share:.1%} of the time that is left", before, after)
    if scanned and (hidden := _hidden_expression(measured)):
        why = f"{after:.1f} ms; an index of {hidden} has to hold what is a parameter here: name the statement with it"
        return said(Kind.UNTRIED, why, before, after)
    if scanned and _wants_trigrams(work, measured):
        why = f"{after:.1f} ms; an index of this pattern needs the extension pg_trgm: create extension pg_trgm"
        return said(Kind.UNTRIED, why, before, after)
    why = f"{after:.1f} ms, {share:.0%} of the time that is left; "
    why += f"it reads all of {', '.join(sorted(scanned))}; " if scanned else ""
    return said(Kind.UNHELPED, why + _tried(search, measured, budget_bytes), before, after)


def _tried(search: Search, queries: Sequence[Bound], budget_bytes: int | None) -> str:
    found = [candidate for query in queries for candidate in search.tried(query.name)]
    if not found and any(search.pools.get(query.name) for query in queries):
        return "the indexes that its conditions ask for are there, or Postgres refuses them"
    if not found:
        return "nothing in it is a condition, an order or a group that an index could serve"
    names = [candidate.statement.partition(" on ")[2] for candidate in found]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    text = f"tried: {'; '.join(names[:_NAMED])}{more}"
    too_large = [c for query in queries for c in search.over_budget(query.name)] if budget_bytes is not None else []
    if too_large:
        text += f"; {too_large[0].statement.partition(' on ')[2]} could help but does not fit the budget"
    return text


def _hidden_expression(queries: Sequence[Bound]) -> str:
    """A compared expression of a column that holds a parameter; pg_stat_statements makes one of each literal."""
    for operation in (node for q in queries for clause in q.asked.clauses for node in of_kind(clause, "A_Expr")):
        for side in (operation.lexpr, operation.rexpr):
            if columns_in(side) and any(True for _ in of_kind(side, "ParamRef")):
                return unqualified(side)
    return ""


def _wants_trigrams(work: Work, queries: Sequence[Bound]) -> bool:
    known = any(c.operator == "~~*" and c.method in ("gin", "gist") for c in work.catalogue.classes)
    operators = {
        node.name[-1].string.sval
        for query in queries
        for clause in query.asked.clauses
        for node in of_kind(clause, "A_Expr")
    }
    return not known and bool(operators & _TRIGRAMS)
