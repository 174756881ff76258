"""`tickloop serve`: q and SQL clients over a data directory."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from tickloop.app.options import data_option, json_option, newest_data
from tickloop.core.config import load

_PORT = click.IntRange(0, 65535)


@click.command()
@data_option
@click.option("--q-port", type=_PORT, help="Port of q clients; 0 takes a free one. [5011]")
@json_option
def serve(data: Path | None, config_path: Path | None, q_port: int | None, as_json: bool) -> None:
    """Answer q clients (PyKX, kdb+, qPython, kola, Grafana) on a data directory, read-only.

    Works beside a live run, on what it has captured so far, as on a directory at rest, and on
    any kdb+ database directory. Each question runs in a worker process: one that takes too long
    or too much is ended, and the others do not notice. Ctrl-C ends.

    \b
    Examples:
      tickloop serve
      tickloop serve --data day1 --q-port 5011
    """
    from tickloop.app.capture import stopping
    from tickloop.app.gateway_run import GatewayRun, Ports
    from tickloop.tickerplant.database import Database

    root = newest_data(data)
    database = Database(root)

    def ready(ports: Ports) -> None:
        if as_json:
            print(json.dumps({"ports": asdict(ports)}))
        else:
            print(banner(root, ports, sorted(database.tables)))
        sys.stdout.flush()

    with stopping() as stop:
        GatewayRun(root, load(config_path), q_port=q_port).serve(stop, ready=ready)


def banner(root: Path, ports: "Ports", tables: list[str]) -> str:  # type: ignore[name-defined]  # noqa: F821
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
            "Ctrl-C ends",
        ]
    )
