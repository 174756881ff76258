"""The plant's rows in QuestDB: a request holds whole chunks, and its answer moves the cursor.

A request that was sent and not answered is sent again; the server recognises rows by (time, sym,
seq), so that counts nothing twice. A server that lost what it had acknowledged (it syncs no disk
by default) shows it by its highest seq, and is given that again.
"""

from dataclasses import dataclass

from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.clock import monotonic_ns, sleep
from tickloop.core.schema import Kind
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.journal_tail import Chunk
from tickloop.tickerplant.sinks.cursor import NO_SEQ, Cursor
from tickloop.tickerplant.sinks.kafka_names import sent_tables
from tickloop.tickerplant.sinks.questdb_client import QuestDbSender
from tickloop.tickerplant.sinks.questdb_columns import columns_of
from tickloop.tickerplant.sinks.questdb_rest import QuestDb
from tickloop.tickerplant.sinks.questdb_tables import ensure_tables, is_applied, last_seq, resume
from tickloop.tickerplant.sinks.sink import Taken

_APPLY_S = 20.0
_LOOK_NS = 1_000_000_000  # how often suspended tables are looked for


@dataclass(frozen=True, slots=True)
class QuestDbSettings:
    """Where and how rows are sent."""

    server: QuestDb
    tables: str  # names divided by spaces; empty: all but the log's own
    rows_max: int  # a request
    timeout_s: float


class QuestDbSink:
    """A sink into one QuestDB server."""

    name = "questdb"

    def __init__(self, settings: QuestDbSettings, catalog: Catalog, symbols: Symbols) -> None:
        self._settings = settings
        self._catalog = catalog
        self._symbols = symbols
        self._names: list[str] = []
        self._tables = sent_tables(catalog, settings.tables)
        self._sender: QuestDbSender | None = None
        self.unspelled = 0  # values that QuestDB has no spelling for, sent as null

    @property
    def target(self) -> str:
        """Where rows go."""
        return self._settings.server.address

    def open(self, cursor: Cursor) -> int:
        """Check or make tables; give the seq to go on after."""
        server = self._settings.server
        ensure_tables(server, self._tables, fractional=self._catalog.fractional)
        resume(server, self._tables)
        self._wait_applied(server)
        start = self._start(cursor)
        self._sender = QuestDbSender(
            server.address, user=server.user, password=server.password,
            timeout_s=self._settings.timeout_s,
        )  # fmt: skip
        self._taken = Taken(start, 0, dict(cursor.streams))
        self._looked_ns = monotonic_ns()
        self._waiting: list[Chunk] = []
        self._waiting_rows = 0
        return start

    def _wait_applied(self, server: QuestDb) -> None:
        """Let the server show what it has; what it does not show in time is sent again."""
        deadline = monotonic_ns() + int(_APPLY_S * 1e9)
        while not is_applied(server, self._tables) and monotonic_ns() < deadline:
            sleep(0.05)

    def _start(self, cursor: Cursor) -> int:
        if set(cursor.streams) != {table.name for table in self._tables}:
            return NO_SEQ
        start = cursor.seq
        for table in self._tables:
            acknowledged = cursor.streams[table.name]
            seen = last_seq(self._settings.server, table) if acknowledged != NO_SEQ else NO_SEQ
            if (NO_SEQ if seen is None else seen) < acknowledged:
                start = min(start, NO_SEQ if seen is None else seen)
        return start

    def take(self, chunk: Chunk) -> None:
        """Put a chunk into the request; send it when it is large enough."""
        self._waiting.append(chunk)
        self._waiting_rows += chunk.rows
        if self._waiting_rows >= self._settings.rows_max:
            self._flush()

    def _look(self) -> None:
        """Notice tables that take rows and show none: their server's disk is full."""
        now = monotonic_ns()
        if now - self._looked_ns >= _LOOK_NS:
            self._looked_ns = now
            is_applied(self._settings.server, self._tables)

    def idle(self) -> None:
        """Send what waits: nothing more is coming right now."""
        self._look()
        if self._waiting:
            self._flush()
        else:
            sleep(0.001)

    def settle(self) -> bool:
        """Whatever waited was sent when nothing more came; queries have to see it too."""
        return not self._waiting and is_applied(self._settings.server, self._tables)

    def _flush(self) -> None:
        assert self._sender is not None, "the sink is not open"
        before = self._taken.streams
        streams = {table.name: before.get(table.name, NO_SEQ) for table in self._tables}
        is_empty = True
        for chunk in self._waiting:
            for table in self._tables:
                rows = chunk.table(table.name)
                if rows is not None:
                    self._add(self._sender, rows)
                    streams[table.name] = int(rows.columns["seq"][-1])
                    is_empty = False
        if not is_empty:
            self._sender.flush()
        rows_taken = self._taken.rows + self._waiting_rows
        self._taken = Taken(self._waiting[-1].through, rows_taken, streams)
        self._waiting, self._waiting_rows = [], 0
        self._look()

    def _add(self, sender: QuestDbSender, rows: Batch) -> None:
        if len(self._names) != len(self._symbols):
            self._names = list(self._symbols)
        columns, unspelled = columns_of(rows, self._names)
        self.unspelled += unspelled
        symbols = [each.name for each in rows.table.columns if each.kind is Kind.SYMBOL]
        sender.add(rows.table.name, columns, symbols=symbols, at="time")

    def taken(self) -> Taken:
        """Say what the server has answered for."""
        return self._taken

    def close(self) -> None:
        """Let go; what was not answered is sent again."""
        if self._sender is not None:
            self._sender.close()
            self._sender = None
