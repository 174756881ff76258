"""What a statement reads and does: it is run once, and each step tells how it was done."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tickloop.analytics.trace import Reading, Step, Trace, tracing
from tickloop.core.clock import monotonic_ns

if TYPE_CHECKING:
    from tickloop.analytics.sql import SqlSession

_SQL_PREFIX = "s)"
# q's own words are in lower case; these in capitals, or in lower case where q has no such word.
_SQL_WORD = re.compile(r"\s*(SELECT|WITH|FROM|EXPLAIN|DESCRIBE|SHOW|with|from|describe|show)\b")
_EXPLAINED = "EXPLAIN (ANALYZE, FORMAT JSON) "
# Steps of DuckDB that do nothing themselves.
_FRAMES = frozenset({"RESULT_COLLECTOR", "EXPLAIN_ANALYZE"})
_PLAN_DETAILS = (
    "Groups", "Aggregates", "Conditions", "Expression", "Filters", "Order By", "Join Type",
    "Projections",
)  # fmt: skip
_DETAIL_WIDTH = 70


@dataclass(frozen=True, slots=True)
class Read:
    """What of a table was read."""

    table: str
    by: str
    partitions: int
    partitions_all: int
    parts: int
    parts_all: int
    columns: tuple[str, ...]
    columns_all: int


@dataclass(frozen=True, slots=True)
class Done:
    """One step; `times` runs of it alike are one. `ms` is with the steps inside it."""

    depth: int
    name: str
    about: str
    how: str
    rows_in: int | None
    rows_out: int | None
    times: int
    ms: float


@dataclass(frozen=True, slots=True)
class Explained:
    """A statement that ran."""

    language: str
    statement: str
    rows: int
    ms: float
    reads: tuple[Read, ...]
    steps: tuple[Done, ...]


def is_sql(text: str) -> bool:
    """Guess the language: q's words are in lower case, SQL is after `s)` or begins in capitals."""
    return text.startswith(_SQL_PREFIX) or _SQL_WORD.match(text) is not None


def explain(root: Path, text: str, *, sql: bool | None = None) -> Explained:
    """Run a statement twice, and tell what the second run did; QueryError if it fails.

    `sql` None guesses the language.
    """
    if is_sql(text) if sql is None else sql:
        return _explain_sql(root, text.removeprefix(_SQL_PREFIX))
    return _explain_q(root, text)


def _explain_q(root: Path, text: str) -> Explained:
    from tickloop.analytics.q.mounted import mount
    from tickloop.analytics.q.session import Session
    from tickloop.analytics.q.values import count_of

    def opened() -> Session:
        session = Session()
        mount(session, root)
        return session

    # The first run of anything loads its kernels and maps files; the second one is what it costs.
    opened().eval(text)
    session = opened()
    with tracing() as trace:
        started = monotonic_ns()
        value = session.eval(text)
        took = monotonic_ns() - started
    steps = tuple(_steps(trace.root, 0))
    return Explained("q", text, count_of(value), took / 1e6, _reads(trace), steps)


def _explain_sql(root: Path, text: str) -> Explained:
    from tickloop.analytics.direct.answer import DirectAnswer
    from tickloop.analytics.sql import SqlSession
    from tickloop.tickerplant.database import Database

    session = SqlSession(Database(root))
    try:
        answer = session.start(text)
        answer.close()
        if isinstance(answer, DirectAnswer):
            return _explain_direct(session, text)
        session.query(_EXPLAINED + text)
        with tracing() as trace:
            started = monotonic_ns()
            found = session.query(_EXPLAINED + text)
            took = monotonic_ns() - started
    finally:
        session.close()
    plan = json.loads(found["explain_value"][0].as_py())
    steps = [*_steps(trace.root, 0)]
    for operator in plan["operator"]:
        steps += _plan(operator, 0)
    rows = next((step.rows_out or 0 for step in steps if step.name != "parts"), 0)
    return Explained("sql", text, rows, took / 1e6, _reads(trace), tuple(steps))


def _explain_direct(session: "SqlSession", text: str) -> Explained:
    """Run a statement that needs no DuckDB; its steps say so."""
    session.query(text)
    with tracing() as trace:
        started = monotonic_ns()
        found = session.query(text)
        took = monotonic_ns() - started
    steps = tuple(_steps(trace.root, 0))
    return Explained("sql", text, found.num_rows, took / 1e6, _reads(trace), steps)


def _reads(trace: Trace) -> tuple[Read, ...]:
    """Give what was read by table, each table once."""
    found: dict[str, Reading] = {}
    for reading in _readings(trace.root):
        known = found.setdefault(reading.table, reading)
        known.parts |= reading.parts
        known.partitions |= reading.partitions
        known.columns |= reading.columns
    return tuple(
        Read(
            one.table, one.by, len(one.partitions), one.partitions_all, len(one.parts),
            one.parts_all, tuple(one.columns), one.columns_all,
        )
        for one in found.values()
    )  # fmt: skip


def _readings(step: Step) -> Iterator[Reading]:
    if step.reading is not None:
        yield step.reading
    for inner in step.steps.values():
        yield from _readings(inner)


def _steps(parent: Step, depth: int) -> Iterator[Done]:
    for step in parent.steps.values():
        # How a step was done counts only where its runs differ.
        several = len(step.how) > 1
        how = [f"{text} ({times}×)" if several else text for text, times in step.how.items()]
        yield Done(
            depth, step.name, step.about, "; ".join(how), step.rows_in, step.rows_out, step.times,
            step.took_ns / 1e6,
        )  # fmt: skip
        yield from _steps(step, depth + 1)


def _plan(operator: Mapping[str, Any], depth: int) -> Iterator[Done]:
    """List DuckDB's operators, the last one first."""
    children = operator.get("children", [])
    name = str(operator.get("type", operator.get("operator_type", "")))
    inside = depth if name in _FRAMES else depth + 1
    if name not in _FRAMES:
        given = [child.get("intermediate_rows") for child in children]
        rows = sum(given) if given and None not in given else operator.get("rows_scanned")
        yield Done(
            depth, name.lower().replace("_", " "), "", _details(operator.get("extra_info", {})),
            rows or None, operator.get("intermediate_rows"), 1,
            float(operator.get("timing", 0.0)) * 1e3,
        )  # fmt: skip
    for child in children:
        yield from _plan(child, inside)


def _details(found: Mapping[str, Any]) -> str:
    texts = []
    for name in _PLAN_DETAILS:
        detail = found.get(name)
        if detail:
            shown = ", ".join(map(str, detail)) if isinstance(detail, list) else str(detail)
            texts.append(f"{name.lower()} {shown}")
    text = "; ".join(texts).replace("\n", " ")
    return text if len(text) <= _DETAIL_WIDTH else text[: _DETAIL_WIDTH - 3] + "..."
