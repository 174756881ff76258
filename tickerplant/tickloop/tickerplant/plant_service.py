"""The plant's q port: kdb+tick's contract for subscribers and publishers, nothing evaluated."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch, concatenate
from tickloop.core.clock import EPOCH_DATE
from tickloop.core.errors import QueryError, TickloopError
from tickloop.core.schema import LOG, RESERVED_NAMES, Table
from tickloop.tickerplant import q_requests as requests
from tickloop.tickerplant import q_values as q
from tickloop.tickerplant.catch_up import CatchUp, Position
from tickloop.tickerplant.names import Names
from tickloop.tickerplant.plant import Plant
from tickloop.tickerplant.publication import Filter
from tickloop.tickerplant.q_connection import Connection
from tickloop.tickerplant.q_probes import answer_probe
from tickloop.tickerplant.q_server import DEFERRED, Deferred
from tickloop.tickerplant.sub_options import SubOptions, read_options
from tickloop.tickerplant.wire_rows import rows_from
from tickloop.tickerplant.wire_subscriber import SlowPolicy, WireSubscriber
from tickloop.tickerplant.wire_tables import empty_of, meta_of, table_of

# What remote peers may never publish: the log's own rows, and what trades.
_PRIVATE = RESERVED_NAMES | {table.name for table in LOG}
_ROWS_MAX = 1_000_000


class Shown(Protocol):
    """Counts and reads the rows that readers see; the plant's process gives its own store's."""

    def count(self, table: str) -> int:
        """Count a table's rows, history included."""
        ...

    def batches(self, table: str) -> Iterable[Batch]:
        """Read a table's rows, history first."""
        ...


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What the port lets peers do and what they may cost."""

    queue_bytes: int
    slow: SlowPolicy
    may_publish: Callable[[str, str], bool]  # user, table


class _Log:
    """The plant's log, as subscribers that missed something read it."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant

    @property
    def next_seq(self) -> int:
        """The seq of the next row that enters the log."""
        return self._plant.journal.next_seq

    def here(self) -> Position | None:
        """Give the end of the log; call it between publications."""
        journal = self._plant.journal
        return Position(journal.log.path, journal.log.end) if journal.is_open else None

    def open(self, start: Position | int) -> CatchUp:
        """Read on from a position or a seq."""
        plant = self._plant
        return CatchUp(plant.directory.journal, plant.catalog, plant.symbols, plant.encoder, start)


class PlantService:
    """Handles what arrives on the plant's port; `Server` calls it.

    `lost` counts subscribers that were disconnected because the log could not be read to them.
    """

    def __init__(self, plant: Plant, shown: Shown, settings: ServiceSettings) -> None:
        self.lost = 0
        self.last_error = ""
        self._plant = plant
        self._shown = shown
        self._settings = settings
        self._names = Names(plant.symbols)
        self._log = _Log(plant)
        self._subscribers: dict[Connection, WireSubscriber] = {}
        self._unacknowledged: list[Connection] = []

    # Handler

    def opened(self, connection: Connection) -> None:
        """Nothing happens before a peer asks."""

    def closed(self, connection: Connection) -> None:
        """Forget a peer's subscriptions."""
        subscriber = self._subscribers.pop(connection, None)
        if subscriber is not None:
            self._plant.unsubscribe(subscriber)
        if connection in self._unacknowledged:
            self._unacknowledged.remove(connection)

    def sync(self, connection: Connection, value: q.Value) -> q.Value | Deferred:
        """Answer a request; an acknowledgement waits for the journal's next commit."""
        probe = answer_probe(value)
        if probe is not None:
            return probe
        request = requests.recognise(value)
        if isinstance(request, requests.Upd):
            self._publish(connection, request)
            self._unacknowledged.append(connection)
            return DEFERRED
        return self._answer(connection, request, value)

    def asynchronous(self, connection: Connection, value: q.Value) -> None:
        """Take a publication that nobody waits for; anything else has nobody to answer."""
        request = requests.recognise(value)
        if isinstance(request, requests.Upd):
            self._publish(connection, request)
        elif request is not None:
            self._answer(connection, request, value)
        else:
            raise QueryError(f"nyi: {_shown(value)} sent without waiting for an answer")

    def overflow(self, connection: Connection) -> None:
        """The subscriber heard of it from its refused post."""

    def drained(self, connection: Connection) -> None:
        """`pump` goes on with what was missed."""

    # Between polls

    def pump(self) -> None:
        """Commit and acknowledge what arrived, and let slow subscribers catch up."""
        self._plant.commit()
        waiting, self._unacknowledged = self._unacknowledged, []
        for connection in waiting:
            connection.respond(q.IDENTITY)
        for subscriber in self._subscribers.values():
            try:
                subscriber.pump()
            except TickloopError as error:
                # It would miss rows without knowing, so it is made to come again.
                self.lost += 1
                self.last_error = str(error)
                subscriber.disconnect()

    @property
    def subscribers(self) -> int:
        """Peers that subscribed."""
        return len(self._subscribers)

    @property
    def has_work(self) -> bool:
        """Tell whether `pump` could send something right away, so that nobody should wait."""
        return any(peer.is_behind and peer.has_room for peer in self._subscribers.values())

    # Requests

    def _answer(
        self, connection: Connection, request: requests.Request | None, value: q.Value
    ) -> q.Value:
        match request:
            case requests.Sub():
                return self._subscribe(connection, request)
            case requests.RdbCall():
                schemas = self._subscribe(connection, request.sub)
                return q.items(schemas, q.items(self._position(), self._log_path()))
            case requests.Tables():
                return q.symbols(sorted(self._plant.catalog.by_name))
            case requests.Cols():
                return q.symbols(self._table(request.table).names)
            case requests.Meta():
                return meta_of(self._table(request.table), fractional=self._fractional)
            case requests.Count():
                return q.long(self._shown.count(self._table(request.table).name))
            case requests.Name():
                return self._named(request.name)
            case requests.End():
                raise QueryError("access: the plant ends its own days; .u.end is for subscribers")
            case _:
                raise QueryError(
                    f"nyi: {_shown(value)}; this port knows .u.sub, .u.upd, tables[], cols, meta,"
                    " count and table names; ask in SQL with `tickloop sql`"
                )

    @property
    def _fractional(self) -> bool:
        return self._plant.catalog.fractional

    def _table(self, name: str) -> Table:
        if name not in self._plant.catalog:
            raise QueryError(
                f"{name}: no such table; there are {', '.join(sorted(self._plant.catalog.by_name))}"
            )
        return self._plant.catalog[name]

    def _position(self) -> q.Value:
        """Give the number of messages in the log; null, as kdb+tick does, where none is open."""
        journal = self._plant.journal
        return q.long(journal.log.messages) if journal.is_open else q.null(q.QType.LONG)

    def _log_path(self) -> q.Value:
        if not self._plant.journal.is_open:
            return q.symbol("")
        return q.symbol(f":{self._plant.journal.log.path.resolve()}")

    def _named(self, name: str) -> q.Value:
        if name in (".u.i", ".u.j"):
            return self._position()
        if name == ".u.L":
            return self._log_path()
        if name == ".u.d":
            session = self._plant.journal.session
            days = (session - EPOCH_DATE).days if session else -(2**31)
            return q.atom(q.QType.DATE, days)
        table = self._table(name)
        rows = self._shown.count(name)
        if rows > _ROWS_MAX:
            raise QueryError(
                f"limit: {name} has {rows} rows, at most {_ROWS_MAX} over this port;"
                " take a part with `tickloop sql`"
            )
        return table_of(table, self._whole(table), self._names, fractional=self._fractional)

    def _whole(self, table: Table) -> dict[str, npt.NDArray[np.generic]]:
        batches = list(self._shown.batches(table.name))
        if not batches:
            return dict(self._plant.encoder.empty(table).columns)
        return dict(concatenate(batches).columns)

    # Subscribing

    def _subscribe(self, connection: Connection, request: requests.Sub) -> q.Value:
        names = request.tables or tuple(sorted(self._plant.catalog.by_name))
        tables = [self._table(name) for name in names]
        options = read_options(request.options, tables, next_seq=self._plant.journal.next_seq)
        filters = {
            table.name: Filter(
                table, self._plant.symbols, names=request.symbols, columns=options.columns
            )
            for table in tables
        }
        self._plant.commit()
        self._serve(connection, filters, options)
        schemas = [
            q.items(q.symbol(name), empty_of(wanted.table, fractional=self._fractional))
            for name, wanted in filters.items()
        ]
        return schemas[0] if len(request.tables) == 1 else q.List(tuple(schemas))

    def _serve(
        self, connection: Connection, filters: dict[str, Filter], options: SubOptions
    ) -> None:
        subscriber = self._subscribers.get(connection)
        if subscriber is None:
            subscriber = WireSubscriber(
                connection, self._plant.encoder, self._log, policy=self._settings.slow,
                low_water=self._settings.queue_bytes // 4,
            )  # fmt: skip
            self._subscribers[connection] = subscriber
            self._plant.subscribe(subscriber)
        if options.start is None:
            subscriber.want(filters, through=self._log.next_seq - 1)
        else:
            subscriber.want_from(filters, options.start)

    # Publishing

    def _publish(self, connection: Connection, request: requests.Upd) -> None:
        table = self._table(request.table)
        if table.name in _PRIVATE or not self._settings.may_publish(connection.user, table.name):
            raise QueryError(
                f"access: {connection.user or 'this user'} may not publish into {table.name}"
            )
        rows = rows_from(
            table, request.data, self._plant.symbols, fractional=self._fractional,
            today_ns=self._plant.today_ns(),
        )  # fmt: skip
        if len(rows):
            # Committed by `pump`, so that everything that arrived together shares one sync.
            self._plant.publish_batch(rows, commit=False)


def _shown(value: q.Value) -> str:
    text = q.text_of(value)
    if text is not None:
        return repr(text[:60])
    if isinstance(value, q.List) and value.items:
        head = q.text_of(value.items[0]) or q.name_of(value.items[0]) or "a function"
        return f"a call of {head[:60]!r}"
    return "a value"
