"""`tickloop serve`: q and SQL clients over a data directory."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tickloop.app.options import data_option, json_option, newest_data
from tickloop.core.config import load

if TYPE_CHECKING:
    from tickloop.app.gateway_run import Ports

_PORT = click.IntRange(0, 65535)


@click.command()
@data_option
@click.option("--q-port", type=_PORT, help="Port of q clients; 0 takes a free one. [5011]")
@click.option("--pg-port", type=_PORT, help="Port of SQL clients; 0 takes a free one. [5433]")
@click.option("--beside", type=int, hidden=True)
@json_option
def serve(
    data: Path | None, config_path: Path | None, q_port: int | None, pg_port: int | None,
    beside: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Answer q clients (PyKX, kdb+, qPython, kola, Grafana) and SQL clients (psql, psycopg, JDBC,
    Grafana, BI tools) on a data directory, read-only.

    Works beside a live run, on what it has captured so far, as on a directory at rest, and on
    any kdb+ database directory. Each question runs in a worker process: one that takes too long
    or too much is ended, and the others do not notice. Ctrl-C ends.

    \b
    Examples:
      tickloop serve
      tickloop serve --data day1 --q-port 5011
    """
    from tickloop.app.capture import stopping
    from tickloop.app.gateway_run import GatewayRun
    from tickloop.tickerplant.database import Database

    root = newest_data(data)
    database = Database(root)

    def ready(ports: "Ports") -> None:
        if as_json:
            print(json.dumps({"ports": asdict(ports)}))
        else:
            print(banner(root, ports, sorted(database.tables)))
        sys.stdout.flush()

    with stopping() as stop:
        run = GatewayRun(root, load(config_path), q_port=q_port, pg_port=pg_port)
        run.serve(stop, ready=ready, beside=beside)


def banner(root: Path, ports: "Ports", tables: list[str]) -> str:
    """Say where to connect, in lines to copy."""
    table = "trade" if "trade" in tables or not tables else tables[0]
    address = f"{ports.host}:{ports.q}"
    return "\n".join(
        [
            f"serving {root}: {', '.join(tables) or 'no tables yet'}",
            f"q clients on {address}",
            f"  PyKX      kx.SyncQConnection('{ports.host}', {ports.q})('select from {table}')",
            f'  kdb+      h:hopen`:{address}; h"select from {table}"',
            f"  Python    from tickloop.analytics import connect;"
            f" connect('{address}').q('select from {table}').pandas()",
            f"  terminal  tickloop q --connect {address}",
            f"SQL clients on {ports.host}:{ports.pg}",
            # A line for a person to copy, not a statement of ours.
            f"  psql      psql -h {ports.host} -p {ports.pg} -c 'SELECT * FROM {table} LIMIT 5'",  # noqa: S608
            f"  psycopg   psycopg.connect('host={ports.host} port={ports.pg} dbname=tickloop')",
            "Ctrl-C ends",
        ]
    )
