"""The Postgres-wire port by psycopg: a point query, rows into pandas, a cancel.

Beside them PostgreSQL, where its server is installed, on the same rows with an index on what is
asked for, over a socket file as ours is over loopback.

Run: python tests/bench/run.py --only pg
"""

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg

from tests.bench.figures import Figure, calibration, figure, seconds, table
from tests.command import good
from tests.gateway_process import Serving, serving
from tests.postgres_server import AbsentError, postgres
from tickloop.core.clock import monotonic_ns

Psycopg = psycopg.Connection[tuple[Any, ...]]
CALLS = 1000
REPEATS = 5
ROWS = 100_000
POINT = "SELECT price FROM trade WHERE sym = 'TECHA' ORDER BY seq DESC LIMIT 1"
COLUMNS = "sym, time, bid, ask"
MANY = f"SELECT {COLUMNS} FROM quote ORDER BY seq LIMIT {ROWS}"
ENDLESS = "SELECT sum(a.i * b.i) FROM range(10000000) a(i), range(10000000) b(i)"
_PORT = 54_338


def _p50_us(connection: Psycopg) -> float:
    spent = []
    for _ in range(CALLS):
        started = monotonic_ns()
        connection.execute(POINT).fetchall()
        spent.append(monotonic_ns() - started)
    return float(np.median(spent)) / 1e3


def _frame(connection: Psycopg, *, binary: bool) -> pd.DataFrame:
    with connection.cursor(binary=binary) as cursor:
        cursor.execute(MANY)
        assert cursor.description is not None
        names = [column.name for column in cursor.description]
        return pd.DataFrame(cursor.fetchall(), columns=names)


def _cancelled(connection: Psycopg) -> float:
    """Cancel a statement that runs; give the seconds until its client hears of it."""
    asked: list[int] = []

    def cancel() -> None:
        time.sleep(0.5)
        asked.append(monotonic_ns())
        connection.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    try:
        connection.execute(ENDLESS)
    except psycopg.errors.QueryCanceled:
        ended = monotonic_ns()
    thread.join()
    return (ended - asked[0]) / 1e9


@contextmanager
def _real(ours: Psycopg, folder: Path) -> Iterator[Psycopg]:
    """Copy what is asked for into PostgreSQL."""
    columns = {
        "trade": "sym text, price float8, seq int8",
        "quote": "sym text, time timestamptz, bid float8, ask float8, seq int8",
    }
    with postgres(folder, _PORT) as real:
        for name, spelled in columns.items():
            real.execute(f"CREATE TABLE {name} ({spelled})")
            listed = ", ".join(column.split()[0] for column in spelled.split(", "))
            with (
                ours.cursor() as source,
                real.cursor() as target,
                source.copy(f"COPY (SELECT {listed} FROM {name}) TO STDOUT") as out,
                target.copy(f"COPY {name} FROM STDIN") as into,
            ):
                for block in out:
                    into.write(block)
        real.execute("CREATE INDEX ON trade (sym, seq)")
        real.execute("CREATE INDEX ON quote (seq)")
        real.execute("ANALYZE")
        yield real


def _measured(name: str, connection: Psycopg) -> dict[str, list[float]]:
    _p50_us(connection)
    frame = _frame(connection, binary=True)
    assert frame.shape == (ROWS, 4), (name, frame.shape)
    return {
        "point": [_p50_us(connection) for _ in range(REPEATS)],
        "text": [seconds(lambda: _frame(connection, binary=False)) for _ in range(REPEATS)],
        "binary": [seconds(lambda: _frame(connection, binary=True)) for _ in range(REPEATS)],
    }


def _beside_real(ours: Psycopg, mine: dict[str, list[float]], folder: Path) -> list[Figure]:
    try:
        with _real(ours, folder) as real:
            theirs = _measured("PostgreSQL", real)
    except AbsentError:
        return []
    spelled = {"text": "text", "binary": "binary"}
    return [
        figure("point query, PostgreSQL, p50", "us", theirs["point"]),
        *(
            figure(f"100,000 × 4 rows into pandas, {form}, PostgreSQL", "s", theirs[key])
            for key, form in spelled.items()
        ),
        *(
            figure(f"100,000 × 4 rows, {form}, times PostgreSQL's time", "×",
                   [a / b for a, b in zip(mine[key], theirs[key], strict=True)])
            for key, form in spelled.items()
        ),
    ]  # fmt: skip


def _figures(served: Serving, folder: Path) -> list[Figure]:
    where = f"host=127.0.0.1 port={served.pg_port} dbname=tickloop"
    with psycopg.connect(where, autocommit=True) as ours:
        mine = _measured("Tickloop", ours)
        return [
            figure("point query over the Postgres wire, p50", "us", mine["point"], at_most=500),
            figure("100,000 × 4 rows into pandas, text", "s", mine["text"]),
            figure("100,000 × 4 rows into pandas, binary", "s", mine["binary"]),
            figure("statement cancelled", "s", [_cancelled(ours) for _ in range(REPEATS)],
                   at_most=0.5),
            *_beside_real(ours, mine, folder),
        ]  # fmt: skip


def measure() -> list[Figure]:
    """Measure everything here."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "day"
        good("run", "--feed", "synthetic:2024-01-02", "--messages", "200000", "--data", root)
        real = Path(folder) / "postgres"
        real.mkdir()
        with serving(root, "[query]\nworkers = 2\n") as served:
            return _figures(served, real)


def main() -> None:
    """Measure and print, with the calibration loop that says how busy the machine is."""
    for row in table([calibration(), *measure()]):
        print(f"{row[0]:56} {row[1]:>12} {row[2]:>24} {row[3]:11} {row[4]:>11}  {row[5]}")


if __name__ == "__main__":
    main()
