"""Statements of Postgres-wire clients with their users' rights, noted in the usage log."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from tickloop.analytics.gateway.rights import Rights, RightsTable
from tickloop.analytics.pg.failures import PgError
from tickloop.analytics.pg.sql_runner import SqlRunner
from tickloop.analytics.pg.statements import Described, Question, ResultColumn, Rows, Statements
from tickloop.analytics.pg.threaded import ThreadedStatements
from tickloop.analytics.questdb.place import Place
from tickloop.analytics.questdb.route import Bounds, Route
from tickloop.core.clock import WallClock, monotonic_ns
from tickloop.tickerplant.database import Database
from tickloop.tickerplant.usage import Asked, UsageLog

if TYPE_CHECKING:
    import pyarrow as pa

_LATER_S = 0.2
_TOGETHER = 1000


class RightsOpener:
    """Opens statements over the tables that a user may see, with the memory of that user."""

    def __init__(
        self, root: Path, rights: RightsTable, usage: UsageLog | None, *, workers: int,
        questdb: Place | None = None,
    ) -> None:  # fmt: skip
        self._root = root
        self._rights = rights
        self._usage = Noted(usage)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="sql")
        self._questdb = questdb or Place()
        self._runners: dict[Rights, SqlRunner] = {}

    async def __call__(self, user: str, database: str) -> Statements:
        """Open for a user; every database's name means the one that there is."""
        rights = self._rights.of(user)
        runner = self._runners.get(rights)
        if runner is None:
            source = Database(self._root, only=rights.tables)
            bounds = Bounds(rights.tables, rights.rows, rights.memory_mib, rights.timeout_s)
            runner = SqlRunner(
                source, threads=2, memory=f"{rights.memory_mib}MiB",
                route=lambda: Route(self._questdb.server(self._root), bounds),
            )  # fmt: skip
            self._runners[rights] = runner
        return _Noting(ThreadedStatements(runner, self._threads), user, self._usage)

    def close(self) -> None:
        """Wait for what runs, then let the database go."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for runner in self._runners.values():
            runner.close()
        self._usage.close()


class Noted:
    """What was asked, until it is written: later than the answers, many rows at once."""

    def __init__(self, log: UsageLog | None) -> None:
        self._log = log
        self._asked: list[Asked] = []

    def add(self, asked: Asked) -> None:
        """Keep a row; called in the server's loop."""
        if self._log is None:
            return
        if not self._asked:
            asyncio.get_running_loop().call_later(_LATER_S, self.write)
        self._asked.append(asked)
        if len(self._asked) >= _TOGETHER:
            self.write()

    def write(self) -> None:
        """Write what is kept."""
        asked, self._asked = self._asked, []
        if self._log is not None:
            self._log.append(asked)

    def close(self) -> None:
        """Write the rest."""
        self.write()
        if self._log is not None:
            self._log.close()


class _Noting:
    """Statements that leave a row of what was asked."""

    def __init__(self, inner: ThreadedStatements, user: str, usage: Noted) -> None:
        self._inner = inner
        self._user = user
        self._usage = usage

    async def describe(self, question: Question) -> Described:
        """Find types."""
        return await self._inner.describe(question)

    async def execute(self, question: Question) -> Rows:
        """Start a statement."""
        started = monotonic_ns()
        try:
            rows = await self._inner.execute(question)
        except PgError as error:
            self.note(question, started, 0, str(error))
            raise
        return _NotedRows(self, rows, question, started)

    def cancel(self) -> None:
        """Stop what runs."""
        self._inner.cancel()

    async def close(self) -> None:
        """Let the client's things go."""
        await self._inner.close()

    def note(self, question: Question, started: int, rows: int, error: str) -> None:
        """Keep what was asked and what became of it."""
        took = monotonic_ns() - started
        now = WallClock().now()
        text = question.text[:2000]
        self._usage.add(Asked(now, self._user, "postgres", text, took, rows, 0, error))


class _NotedRows:
    """Rows of a statement, counted."""

    def __init__(self, owner: _Noting, inner: Rows, question: Question, started: int) -> None:
        self.columns: tuple[ResultColumn, ...] = inner.columns
        self._owner = owner
        self._inner = inner
        self._question = question
        self._started = started
        self._rows = 0
        self._error = ""

    async def next(self) -> "pa.RecordBatch | None":
        """Give the next rows."""
        try:
            batch = await self._inner.next()
        except PgError as error:
            self._error = str(error)
            raise
        self._rows += 0 if batch is None else batch.num_rows
        return batch

    async def close(self) -> None:
        """Let everything go, and note it."""
        await self._inner.close()
        self._owner.note(self._question, self._started, self._rows, self._error)
