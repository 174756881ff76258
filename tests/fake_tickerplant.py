"""A program that keeps kdb+tick's contract, as tick.q and u.q state it, on a loopback port.

`.u.upd` puts a timespan before rows that begin with none, checks counts and types as an insert
does, logs and publishes at once or, in batch mode, in turns; `.u.sub` answers schemas; the log is
appended to after a restart, with its messages counted. Nothing is evaluated.
"""

import json
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tickloop.tickerplant import q_values as q
from tickloop.tickerplant.foreign_log import messages
from tickloop.tickerplant.q_codec import (
    HEADER_SIZE,
    MessageKind,
    encode,
    message,
    open_message,
    parse_header,
)
from tickloop.tickerplant.q_login import take_login

LETTERS = " bg xhijefcspmdznuvt"
LOG_HEADER = bytes([0xFF, 1, 0, 0, 0, 0, 0, 0])
SIZE_MAX = 1 << 28
Schema = dict[str, dict[str, str]]


@dataclass
class Tickerplant:
    """A running program."""

    port: int
    folder: Path
    schema: Schema
    batch_ms: int = 0
    process: "subprocess.Popen[str] | None" = None

    def start(self) -> None:
        """Start, on the port of before if there was one."""
        arguments = [self.folder, self.port, self.batch_ms, json.dumps(self.schema)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__, *map(str, arguments)],
            cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("port "), line
        self.port = int(line.removeprefix("port "))

    def kill(self) -> None:
        """End it as a crash does."""
        assert self.process is not None
        self.process.kill()
        self.process.communicate()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    @property
    def logs(self) -> list[Path]:
        """Its logs, oldest first."""
        return sorted(self.folder.glob("tick*"))

    def logged(self, table: str, column: str) -> list[object]:
        """Read a column of what was logged, message by message."""
        place = list(self.schema[table]).index(column)
        found: list[object] = []
        for log in self.logs:
            for each in messages(log):
                if each.table == table:
                    assert isinstance(each.data, q.List)
                    found.extend(_values(each.data.items[place]))
        return found


@contextmanager
def tickerplant(folder: Path, schema: Schema, *, batch_ms: int = 0) -> Iterator[Tickerplant]:
    """Start one on a free port; it is gone at the end."""
    folder.mkdir(exist_ok=True)
    running = Tickerplant(0, folder, schema, batch_ms)
    running.start()
    try:
        yield running
    finally:
        running.kill()


def _values(column: q.Value) -> list[object]:
    if isinstance(column, q.SymbolVector):
        return list(column.names)
    if isinstance(column, q.Vector):
        return list(column.data.tolist())
    if isinstance(column, q.Atom):
        return [column.value]
    assert isinstance(column, q.List)
    return [q.text_of(item) for item in column.items]


class RefusalError(Exception):
    """A q error."""


class Plant:
    """State and verbs, with the names of u.q."""

    def __init__(self, folder: Path, schema: Schema, batch_ms: int) -> None:
        self.schema = schema
        self.batch_ms = batch_ms
        self.subscribers: dict[str, dict[Peer, set[str]]] = {name: {} for name in schema}
        self.day = 0
        self.folder = folder
        self.waiting: list[tuple[str, list[q.Value]]] = []
        self.open_log()

    def open_log(self) -> None:
        self.log = self.folder / f"tick2024.01.{self.day + 1:02d}"
        if not self.log.exists():
            self.log.write_bytes(LOG_HEADER)
        self.i = sum(1 for _ in messages(self.log))
        self.j = self.i
        self.handle = os.open(self.log, os.O_WRONLY | os.O_APPEND)

    def upd(self, table: str, data: q.Value) -> None:
        columns = self.schema.get(table)
        if columns is None or not isinstance(data, q.List):
            raise RefusalError(table)
        values = list(data.items)
        if _letter(values[0]) != "n":
            now = time.time_ns() % 86_400_000_000_000
            rows = q.count_of(values[0])
            stamp: q.Value = q.vector(q.QType.TIMESPAN, [now] * rows)
            if isinstance(values[0], q.Atom):
                stamp = q.Atom(q.QType.TIMESPAN, now)
            values.insert(0, stamp)
        if len(values) != len(columns) or len({q.count_of(value) for value in values}) > 1:
            raise RefusalError("length")
        if any(
            _letter(value) not in (letter, " ")
            for value, letter in zip(values, columns.values(), strict=True)
        ):
            raise RefusalError("type")
        call = q.items(q.symbol("upd"), q.symbol(table), q.List(tuple(values)))
        os.write(self.handle, encode(call))
        self.j += 1
        self.waiting.append((table, values))
        if not self.batch_ms:
            self.publish()

    def publish(self) -> None:
        """In batch mode a table's rows go out together, table by table."""
        for table in self.schema:
            for name, values in self.waiting:
                if name == table:
                    self.pub(table, values)
        self.waiting.clear()
        self.i = self.j

    def pub(self, table: str, values: list[q.Value]) -> None:
        columns = [_list(value) for value in values]
        flip = q.table(dict(zip(self.schema[table], columns, strict=True)))
        whole = message(MessageKind.ASYNC, encode(q.items(q.symbol("upd"), q.symbol(table), flip)))
        for peer in self.subscribers[table]:
            peer.send(whole)

    def sub(self, peer: "Peer", table: str) -> q.Value:
        if not table:
            return q.List(tuple(self.sub(peer, name) for name in self.schema))
        if table not in self.schema:
            raise RefusalError(table)
        self.subscribers[table][peer] = set()
        return q.items(q.symbol(table), self.empty(table))

    def empty(self, table: str) -> q.Table:
        return q.table({name: _none(letter) for name, letter in self.schema[table].items()})

    def meta(self, table: str) -> q.Value:
        columns = self.schema.get(table)
        if columns is None:
            raise RefusalError(table)
        letters = q.chars("".join(columns.values()))
        blank = q.symbols([""] * len(columns))
        return q.Dictionary(
            q.table({"c": q.symbols(columns)}), q.table({"t": letters, "f": blank, "a": blank})
        )

    def position(self) -> q.Value:
        return q.items(q.long(self.i), q.symbol(f":{self.log}"))

    def end(self) -> None:
        """Roll the day."""
        self.publish()
        call = q.items(q.symbol(".u.end"), q.atom(q.QType.DATE, 8766 + self.day))
        for peer in {peer for peers in self.subscribers.values() for peer in peers}:
            peer.send(message(MessageKind.ASYNC, encode(call)))
        os.close(self.handle)
        self.day += 1
        self.open_log()

    def answer(self, peer: "Peer", value: q.Value) -> q.Value:
        text = q.text_of(value)
        if text is not None:
            if text.startswith("(.u.sub[`;`]"):
                return q.items(self.sub(peer, ""), self.position())
            fixed: dict[str, q.Value] = {
                "tables[]": q.symbols(sorted(self.schema)),
                ".u.i": q.long(self.i),
                ".u.L": q.symbol(f":{self.log}"),
            }
            if text in fixed:
                return fixed[text]
            if text == ".u.end[]":
                self.end()
                return q.IDENTITY
            raise RefusalError(text)
        assert isinstance(value, q.List)
        function = q.name_of(value.items[0]) or q.text_of(value.items[0])
        name = q.name_of(value.items[1]) or ""
        if function == ".u.upd":
            self.upd(name, value.items[2])
            return q.IDENTITY
        if function == ".u.sub":
            return self.sub(peer, name)
        if function == "meta":
            return self.meta(name)
        raise RefusalError(str(function))


def _letter(value: q.Value) -> str:
    if isinstance(value, q.SymbolVector):
        return "s"
    return LETTERS[value.type] if isinstance(value, q.Vector | q.Atom) else " "


def _list(value: q.Value) -> q.Value:
    if isinstance(value, q.Atom):
        if value.type is q.QType.SYMBOL:
            return q.symbols([str(value.value)])
        return q.vector(value.type, [value.value])
    return value


def _none(letter: str) -> q.Value:
    if letter == "s":
        return q.symbols([])
    return q.List(()) if letter in " C" else q.vector(q.QType(LETTERS.index(letter)), [])


class Peer:
    """A connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.inbox = bytearray()
        self.is_in = False

    def send(self, whole: bytes) -> None:
        try:
            self.sock.sendall(whole)
        except OSError:
            self.is_in = False

    def receive(self, plant: Plant) -> bool:
        try:
            raw = self.sock.recv(1 << 18)
        except OSError:
            return False
        self.inbox += raw
        if not self.is_in and take_login(self.inbox):
            self.is_in = True
            self.sock.sendall(bytes([3]))
        while self.is_in and len(self.inbox) >= HEADER_SIZE:
            size = parse_header(self.inbox, size_max=SIZE_MAX).size
            if len(self.inbox) < size:
                break
            kind, value = open_message(bytes(self.inbox[:size]), size_max=SIZE_MAX)
            del self.inbox[:size]
            try:
                answer = plant.answer(self, value)
            except RefusalError as refusal:
                answer = q.Signal(str(refusal))
            if kind is MessageKind.SYNC:
                self.send(message(MessageKind.RESPONSE, encode(answer)))
        return bool(raw)


def main() -> None:
    """Serve until killed."""
    folder, port, batch_ms, schema = sys.argv[1:]
    plant = Plant(Path(folder), json.loads(schema), int(batch_ms))
    listener = socket.create_server(("127.0.0.1", int(port)))
    print("port", listener.getsockname()[1], flush=True)
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ, None)
        while True:
            for key, _ in selector.select(plant.batch_ms / 1000 if plant.batch_ms else None):
                if key.data is None:
                    sock, _ = listener.accept()
                    selector.register(sock, selectors.EVENT_READ, Peer(sock))
                elif not key.data.receive(plant):
                    selector.unregister(key.fileobj)
                    for peers in plant.subscribers.values():
                        peers.pop(key.data, None)
            if plant.batch_ms:
                plant.publish()


if __name__ == "__main__":
    main()
