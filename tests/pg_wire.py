"""A Postgres-wire server within the test, on a loop of its own, over rows that follow from seq."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tests.capture import CATALOG, DOOR, NAMES, START, Capture
from tickloop.analytics.pg.scram import Verifier
from tickloop.analytics.pg.server import PgLimits, PgServer
from tickloop.analytics.pg.session import SessionLimits
from tickloop.analytics.pg.sql_runner import SqlRunner
from tickloop.analytics.pg.statements import Opener
from tickloop.analytics.pg.threaded import ThreadedOpener
from tickloop.core.batch import Batch
from tickloop.core.dialects.numpy import nulls, surface_dtype
from tickloop.core.schema import TRADE
from tickloop.core.symbols import Symbols
from tickloop.tickerplant import flush
from tickloop.tickerplant.database import Database
from tickloop.tickerplant.directory import DataDirectory
from tickloop.tickerplant.kdb_names import extend_names
from tickloop.tickerplant.manifest import Manifest
from tickloop.tickerplant.rdb import Rdb

T = TypeVar("T")
ROWS = 400


def data(root: Path, rows: int = ROWS) -> Path:
    """Make a data directory: a row a minute, of trade, quote, trade and note in turn."""
    Capture(root).add(rows)
    return root


class Served:
    """A server and the thread that it lives in."""

    def __init__(
        self,
        opener: Opener,
        *,
        verifiers: Callable[[str], Verifier | None] | None = None,
        tls: ssl.SSLContext | None = None,
        rows: int = 1_000_000,
        statement_s: float = 0.0,
        connections: int = 200,
        message_bytes: int = 1 << 22,
        login_s: float = 5.0,
        kept: int = 100,
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        limits = PgLimits(
            connections=connections,
            message_bytes=message_bytes,
            login_s=login_s,
            session=SessionLimits(rows=rows, statement_s=statement_s, kept=kept),
        )
        self.server = PgServer(opener, limits=limits, port=0, verifiers=verifiers, tls=tls)
        self.run(self.server.start())

    @property
    def port(self) -> int:
        return self.server.port

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the server's loop."""
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(30)

    def dsn(self, **more: object) -> str:
        """Spell where it is, as libpq reads it."""
        values = {"host": "127.0.0.1", "port": self.port, "user": "ana", "dbname": "tickloop"}
        return " ".join(f"{name}={value}" for name, value in (values | more).items())

    def close(self) -> None:
        """End it and its thread."""
        self.run(self.server.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


def opener(root: Path, workers: int = 4) -> ThreadedOpener:
    """Open a data directory for any client."""
    return ThreadedOpener(SqlRunner(Database(root), threads=2), workers=workers)


def day_of_trades(root: Path, rows: int) -> Path:
    """Make a data directory with many trades of one day, as a capture would have them."""
    DataDirectory(root).create()
    extend_names(root / "db" / "sym", Symbols(NAMES), door=DOOR)
    rdb = Rdb(root / "rdb" / "1", CATALOG, segment_rows=1 << 20)
    flush.adopt(root, DOOR, Manifest(CATALOG, rdb="rdb/1"))
    columns = {
        column.name: nulls(column.kind, rows, dtype=surface_dtype(column.kind))
        for column in TRADE.columns
    }
    places = np.arange(rows)
    columns["seq"] = places
    columns["time"] = START + places * 123_457_000
    columns["sym"] = (places % len(NAMES)).astype(np.int32)
    columns["price"] = 100 + (places * 7919 % 10_000) / 100
    columns["size"] = places % 900 + 1
    rdb.append(Batch(TRADE, columns))
    rdb.publish(rows - 1)
    return root
