"""Statements run in threads of this process: for a server that has the machine to itself."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from tickloop.analytics.pg.failures import PgError, SqlState
from tickloop.analytics.pg.sql_runner import Running, SqlRunner
from tickloop.analytics.pg.statements import Described, Question

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")
# How soon a statement that did not hear of its end is told again.
_AGAIN_S = 0.05


class ThreadedStatements:
    """One client's statements; several clients share the runner and its threads."""

    def __init__(self, runner: SqlRunner, threads: ThreadPoolExecutor) -> None:
        self._runner = runner
        self._threads = threads
        self._work: Future[Any] | None = None
        self._running: Running | None = None
        self._is_cancelled = False

    async def describe(self, question: Question) -> Described:
        """Find types."""
        return await self.call(lambda: self._runner.describe(question))

    async def execute(self, question: Question) -> "ThreadedRows | ReadyRows":
        """Start a statement; one that takes no longer than a thread's start runs at once."""
        ready = self._runner.start_at_once(question)
        if ready is not None:
            return ReadyRows(ready)
        running = await self.call(lambda: self._runner.start(question))
        return ThreadedRows(self, running)

    def cancel(self) -> None:
        """Stop what runs, or what waits for a thread."""
        if self._work is None or self._work.done():
            return
        self._is_cancelled = True
        if not self._work.cancel():
            self._interrupt(self._work)

    async def close(self) -> None:
        """Let the client's things go; its rows are closed by whoever holds them."""
        self.cancel()

    async def call(self, work: Callable[[], T], running: Running | None = None) -> T:
        """Do something in a thread; it can be cancelled while it lasts."""
        self._is_cancelled = False
        self._running = running
        future: Future[T] = self._threads.submit(work)
        self._work = future
        try:
            result = await asyncio.shield(asyncio.wrap_future(future))
        except asyncio.CancelledError:
            if self._is_cancelled:
                raise _cancelled() from None
            raise
        finally:
            self._work = self._running = None
        if self._is_cancelled:
            # What was done in spite of being cancelled is not wanted any more.
            if isinstance(result, Running):
                result.close()
            raise _cancelled()
        return result

    def _interrupt(self, work: "Future[Any]") -> None:
        """Interrupt until it helps: what is about to start does not hear the first time."""
        if work.done() or work is not self._work:
            return
        if self._running is not None:
            self._running.interrupt()
        asyncio.get_running_loop().call_later(_AGAIN_S, self._interrupt, work)


def _cancelled() -> PgError:
    return PgError(SqlState.QUERY_CANCELED, "canceling statement due to user request")


class ThreadedRows:
    """Rows of a statement that runs as they are taken."""

    def __init__(self, owner: ThreadedStatements, running: Running) -> None:
        self.columns = running.columns
        self._owner = owner
        self._running = running
        self._batches: Iterator[pa.RecordBatch] = running.batches()

    async def next(self) -> "pa.RecordBatch | None":
        """Give the next rows."""
        return await self._owner.call(lambda: next(self._batches, None), self._running)

    async def close(self) -> None:
        """Stop and let go."""
        self._running.interrupt()
        self._running.close()


class ReadyRows:
    """Rows of a statement that takes microseconds: no thread is asked for them."""

    def __init__(self, running: Running) -> None:
        self.columns = running.columns
        self._running = running
        self._batches: Iterator[pa.RecordBatch] = running.batches()

    async def next(self) -> "pa.RecordBatch | None":
        """Give the next rows."""
        return next(self._batches, None)

    async def close(self) -> None:
        """Let go."""
        self._running.close()


class ThreadedOpener:
    """Opens statements for every client that logs in, over one database."""

    def __init__(self, runner: SqlRunner, *, workers: int) -> None:
        self._runner = runner
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="sql")

    async def __call__(self, user: str, database: str) -> ThreadedStatements:
        """Open for a user; every database's name means the one that there is."""
        return ThreadedStatements(self._runner, self._threads)

    def close(self) -> None:
        """Wait for what runs, then let the database go."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._runner.close()
