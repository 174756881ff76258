"""A plant's q port within the test, and readers on real sockets that read only when told."""

import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests import q_bytes
from tests.plants import plant_at, small_journal
from tickloop.core.batch import Batch
from tickloop.core.symbols import Symbols
from tickloop.tickerplant import q_values as q
from tickloop.tickerplant.file_door import OS_DOOR, FileDoor
from tickloop.tickerplant.journal import JournalSettings, logs
from tickloop.tickerplant.log_file import Sync
from tickloop.tickerplant.plant_service import PlantService, ServiceSettings
from tickloop.tickerplant.q_codec import MessageKind, encode, message
from tickloop.tickerplant.q_login import login_bytes
from tickloop.tickerplant.q_server import Authenticate, Server, ServerLimits
from tickloop.tickerplant.wire_subscriber import SlowPolicy, WireSubscriber

# What the system holds for a peer that does not read; it is megabytes by default.
BUFFER_BYTES = 1 << 15
# A row: its seq, and its values by column as they travel.
Row = tuple[int, dict[str, bytes]]


class NothingShown:
    """The port's queries have tests of their own."""

    def count(self, table: str) -> int:
        return 0

    def batches(self, table: str) -> Iterable[Batch]:
        return ()


class Port:
    """A plant and its port, polled by the test."""

    def __init__(
        self,
        root: Path,
        *,
        queue_bytes: int = 1 << 15,
        slow: SlowPolicy = SlowPolicy.SPILL,
        sync: Sync = Sync.NONE,
        symbols: Symbols | None = None,
        authenticate: Authenticate | None = None,
        journal: JournalSettings | None = None,
        door: FileDoor = OS_DOOR,
    ) -> None:
        self.root = root
        self.readers: list[Reader] = []
        settings = journal or small_journal(sync)
        self.plant, self.memory = plant_at(root, symbols=symbols, journal=settings, door=door)
        self.service = PlantService(
            self.plant, NothingShown(), ServiceSettings(queue_bytes, slow, lambda user, table: True)
        )
        limits = ServerLimits(
            message_bytes=1 << 24, message_values=100_000, queue_bytes=queue_bytes,
            connections=20, login_s=5.0,
        )  # fmt: skip
        self.server = Server(self.service, port=0, limits=limits, authenticate=authenticate)

    def poll(self) -> int:
        """Do what the plant's process does between rows."""
        handled = self.server.poll(0.0)
        self.service.pump()
        self.server.flush()
        return handled

    def peers(self, address: str) -> list[WireSubscriber]:
        """Find the subscriber that comes from an address."""
        found = self.service._subscribers.items()
        return [subscriber for connection, subscriber in found if connection.peer == address]

    def close(self) -> None:
        self.server.close()
        self.plant.close()

    def crash(self) -> None:
        """Let go as a killed process does: what was written stays, nothing is closed."""
        self.server.close()
        self.plant.journal.abandon()


@dataclass(repr=False, eq=False)
class Reader:
    """A subscriber on a socket with small buffers; takes apart what it reads by the format."""

    port: Port
    user: str = "reader"
    rows: dict[str, list[Row]] = field(default_factory=dict)
    order: list[tuple[str, int]] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)  # rows that came before each .u.end
    answers: list[bytes] = field(default_factory=list)
    gone: bool = False
    asked: int = 0

    def __post_init__(self) -> None:
        self._inbox = b""
        self._sock = socket.socket()
        self.port.readers.append(self)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self._sock.connect(("127.0.0.1", self.port.server.port))
        self.address = "{}:{}".format(*self._sock.getsockname())
        self._sock.sendall(login_bytes(self.user, ""))
        self._sock.setblocking(False)
        for _ in range(10_000):
            self.port.poll()
            try:
                self.gone = len(self._sock.recv(1)) != 1
                break
            except BlockingIOError:
                continue
        for connection in self.port.server.connections:
            connection._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)

    def ask(self, request: q.Value) -> None:
        """Send a request that is answered and let the port handle it."""
        self.asked += 1
        self._sock.sendall(message(MessageKind.SYNC, encode(request)))
        while not self.port.poll() and not self.gone:
            # The port takes no request from a peer whose queue is full.
            self.read(1 << 14)

    def subscribe(
        self, tables: Sequence[str], symbols: Sequence[str] = (), *, start: int | None = None,
        columns: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """Call .u.sub; the answer is among what is read later."""
        options: dict[str, q.Value] = {}
        if start is not None:
            options["from"] = q.long(start)
        if columns:
            options["columns"] = q.symbols(columns)
        names = q.symbols(symbols) if symbols else q.symbol("")
        arguments: list[q.Value] = [q.symbols(tables), names]
        if options:
            arguments.append(q.Dictionary(q.symbols(options), q.List(tuple(options.values()))))
        self.ask(q.items(q.symbol(".u.sub"), *arguments))

    def read(self, size: int = 1 << 20) -> int:
        """Read what has arrived, up to a size; give how much it was."""
        total = 0
        while total < size:
            try:
                piece = self._sock.recv(min(size - total, 1 << 16))
            except BlockingIOError:
                break
            except ConnectionResetError:
                piece = b""
            if not piece:
                self.gone = True
                break
            total += len(piece)
            self._inbox += piece
        self._take_apart()
        return total

    def read_all(self) -> None:
        """Read until everything came that was published before."""
        while not self.gone and any(peer.is_behind for peer in self.port.peers(self.address)):
            self.port.poll()
            self.read()
        if self.gone:
            return
        # The answer to a question comes after everything that was sent before it.
        self.ask(q.chars("cols trade"))
        while len(self.answers) < self.asked and not self.gone:
            self.port.poll()
            self.read()

    def _take_apart(self) -> None:
        at = 0
        while len(self._inbox) - at >= 8:
            size = int.from_bytes(self._inbox[at + 4 : at + 8], "little")
            if len(self._inbox) - at < size:
                break
            self._take(self._inbox[at + 1], self._inbox[at + 8 : at + size])
            at += size
        self._inbox = self._inbox[at:]

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == MessageKind.RESPONSE:
            self.answers.append(payload)
            return
        function, argument, *rest = q_bytes.items(payload)
        if q_bytes.symbol(function) == ".u.end":
            self.ends.append(len(self.order))
            return
        assert q_bytes.symbol(function) == "upd"
        table = q_bytes.symbol(argument)
        found = list(rows_of(q_bytes.columns(rest[0])))
        self.rows.setdefault(table, []).extend(found)
        self.order.extend((table, seq) for seq, _ in found)

    def close(self) -> None:
        self._sock.close()


def rows_of(columns: dict[str, bytes]) -> Iterable[Row]:
    """Cut columns into rows; rows without a seq get -1."""
    cells = {name: values_of(raw) for name, raw in columns.items()}
    count = len(next(iter(cells.values())))
    for row in range(count):
        values = {name: cell[row] for name, cell in cells.items()}
        yield int.from_bytes(values.get("seq", b"\xff"), "little", signed=True), values


def values_of(column: bytes) -> list[bytes]:
    if column[0] == 11:
        return column[6:].split(b"\0")[:-1]
    if column[0] == 0:
        return q_bytes.items(column)
    width = q_bytes.WIDTHS[column[0]]
    return [column[at : at + width] for at in range(6, len(column), width)]


@dataclass
class Logged:
    """What the logs hold, read by the format alone."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    order: list[tuple[str, int]] = field(default_factory=list)
    session_starts: list[int] = field(default_factory=list)  # first seq of each log


def logged(root: Path, columns: Mapping[str, Sequence[str]]) -> Logged:
    """Read every log of a data directory; `columns` names each table's columns."""
    found = Logged()
    for log in logs(root / "journal"):
        is_first = True
        for one in q_bytes.messages_of(log):
            _, name, values = q_bytes.items(one)
            table = q_bytes.symbol(name)
            named = dict(zip(columns[table], q_bytes.items(values), strict=True))
            rows = list(rows_of(named))
            if is_first:
                found.session_starts.append(rows[0][0])
                is_first = False
            found.rows.setdefault(table, []).extend(rows)
            found.order.extend((table, seq) for seq, _ in rows)
    return found


def wanted(
    rows: Sequence[Row], symbols: Sequence[str], columns: Sequence[str], *, start: int = 0
) -> list[Row]:
    """Filter rows slowly."""
    names = {name.encode() for name in symbols}
    return [
        (seq, {key: value for key, value in values.items() if not columns or key in columns})
        for seq, values in rows
        if seq >= start and (not names or values["sym"] in names)
    ]


def is_ascending(values: Sequence[int]) -> bool:
    return bool((np.diff(np.array(values, dtype=np.int64)) > 0).all())
