"""The plant's rows in a kdb+ tickerplant: `.u.upd` with columns, and what it answered is kept.

Messages are sent one behind the other, without a wait, and a bounded number of them is out at a
time. A tickerplant answers in order, so that an answer says that everything before it was taken.
What was out when a connection broke is sent again: tickerplants cannot tell rows that they have,
so whoever must not count a row twice looks at its `seq`.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.clock import sleep
from tickloop.core.errors import LoginError, QueryError, SinkAwayError, SinkError, WireError
from tickloop.core.symbols import Symbols
from tickloop.tickerplant import q_values as q
from tickloop.tickerplant.journal_tail import Chunk
from tickloop.tickerplant.names import Names
from tickloop.tickerplant.q_client import QClient
from tickloop.tickerplant.sinks.cursor import Cursor
from tickloop.tickerplant.sinks.kdb_columns import spelled
from tickloop.tickerplant.sinks.kdb_target import Matching, Target, targets
from tickloop.tickerplant.sinks.sink import Taken


@dataclass(frozen=True, slots=True)
class KdbSettings:
    """Where the tickerplant is, and how rows are sent."""

    host: str
    port: int
    user: str
    password: str
    matching: Matching
    rows_max: int  # a message; rows of all tables keep their order up to that many
    messages_max: int  # not answered yet
    asynchronous: bool  # only every `messages_max`-th message is followed by a question
    timeout_s: float


@dataclass(slots=True)
class _Owed:
    """An answer that is to come; `through` where it says that all rows up to a seq were taken."""

    table: str  # empty where only the tickerplant's position was asked for
    rows: int
    through: int | None = None


class KdbSink:
    """A sink into one tickerplant."""

    name = "kdb"

    def __init__(self, settings: KdbSettings, catalog: Catalog, symbols: Symbols) -> None:
        self._settings = settings
        self._catalog = catalog
        self._names = Names(symbols)
        self._client: QClient | None = None
        self._targets: list[Target] = []
        self._owed: deque[_Owed] = deque()
        self._posted = 0  # messages that no answer will come for
        self._posted_rows = 0
        self._answered_rows = 0  # of a stretch whose last answer is to come
        self.unspelled = 0  # values that the tickerplant's types have no spelling for, sent as null

    @property
    def target(self) -> str:
        """Where rows go."""
        return f"{self._settings.host}:{self._settings.port}"

    def open(self, cursor: Cursor) -> int:
        """Connect and compare tables; give the seq to go on after."""
        settings = self._settings
        with self._away():
            self._client = QClient(
                settings.host, settings.port, user=settings.user, password=settings.password,
                timeout_s=settings.timeout_s,
            )  # fmt: skip
            where = f"the tickerplant at {self.target}"
            self._targets = targets(self._client, self._catalog, settings.matching, where)
        self._taken = Taken(cursor.seq, 0)
        self._owed.clear()
        self._posted = self._posted_rows = self._answered_rows = 0
        return cursor.seq

    @contextmanager
    def _away(self) -> Iterator[None]:
        try:
            yield
        except SinkError:
            self.close()
            raise
        except LoginError as error:
            raise SinkError(f"{error}; see [sinks.kdb] user and password_file") from error
        except WireError as error:
            raise SinkAwayError(str(error)) from error

    def take(self, chunk: Chunk) -> None:
        """Send a chunk in stretches of seqs, so that tables keep their order to each other."""
        after = chunk.after
        with self._away():
            while after < chunk.through:
                through = min(after + self._settings.rows_max, chunk.through)
                self._send(chunk, after, through)
                after = through

    def _send(self, chunk: Chunk, after: int, through: int) -> None:
        for target in self._targets:
            rows = _between(chunk.table(target.table.name), after, through)
            if rows is not None:
                self._upd(target, rows)
        is_due = self._posted >= self._settings.messages_max or through == chunk.through
        if self._posted and is_due:
            self._ask(q.chars(".u.i"), _Owed("", self._posted_rows))
            self._posted = self._posted_rows = 0
        if self._owed:
            if not self._posted:
                self._owed[-1].through = through
        elif not self._posted:
            self._taken = Taken(through, self._taken.rows)

    def _upd(self, target: Target, rows: Batch) -> None:
        columns = []
        for column in target.columns:
            values, unspelled = spelled(
                rows, column, self._names, fractional=self._catalog.fractional
            )
            self.unspelled += unspelled
            columns.append(values)
        call = q.items(q.symbol(".u.upd"), q.symbol(target.name), q.List(tuple(columns)))
        if self._settings.asynchronous:
            self._open_client.post(call)
            self._posted += 1
            self._posted_rows += len(rows)
        else:
            self._ask(call, _Owed(target.name, len(rows)))

    def _ask(self, request: q.Value, owed: _Owed) -> None:
        self._receive(down_to=self._settings.messages_max - 1)
        self._open_client.ask(request)
        self._owed.append(owed)

    @property
    def _open_client(self) -> QClient:
        assert self._client is not None, "the sink is not open"
        return self._client

    def idle(self) -> None:
        """Wait for what is owed an answer: nothing more is coming right now."""
        if self._owed:
            with self._away():
                self._receive(down_to=0)
        else:
            sleep(0.001)

    def settle(self) -> bool:
        """Whatever was owed an answer was answered when nothing more came."""
        return not self._owed

    def _receive(self, *, down_to: int) -> None:
        """Wait for answers until at most so many are owed."""
        while len(self._owed) > down_to:
            owed = self._owed[0]
            self._answer(owed.table)
            self._owed.popleft()
            self._answered_rows += owed.rows
            if owed.through is not None:
                self._taken = Taken(owed.through, self._taken.rows + self._answered_rows)
                self._answered_rows = 0

    def _answer(self, table: str) -> None:
        try:
            self._open_client.answer()
        except QueryError as error:
            # Where only the position was asked for, any answer says that the rows were handled.
            if table:
                raise SinkError(
                    f"the tickerplant at {self.target} refused rows of {table}: {error}; the rows"
                    " before them were taken: put it right, and the same command goes on"
                ) from error

    def taken(self) -> Taken:
        """Say what the tickerplant has answered for."""
        return self._taken

    def close(self) -> None:
        """Let go; what was not answered is sent again."""
        if self._client is not None:
            self._client.close()
            self._client = None


def _between(rows: Batch | None, after: int, through: int) -> Batch | None:
    """Give the rows with `after` < seq <= `through`, or None if there are none."""
    if rows is None:
        return None
    seqs = rows.columns["seq"]
    first, stop = np.searchsorted(seqs, [after, through], side="right").tolist()
    if first == stop:
        return None
    return Batch(rows.table, {name: values[first:stop] for name, values in rows.columns.items()})
