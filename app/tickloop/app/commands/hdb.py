"""`tickloop hdb`: what history holds, and how a kdb+ database joins it."""

import dataclasses
import json
from pathlib import Path

import click

from tickloop.app.options import data_option, json_option, newest_data


@click.group()
def hdb() -> None:
    """Describe history, or import a kdb+ database."""


@hdb.command()
@click.argument("path", required=False, type=click.Path(path_type=Path), metavar="[DB]")
@data_option
@json_option
def info(
    path: Path | None, data: Path | None, config_path: Path | None, as_json: bool
) -> None:
    """List partitions and tables: rows, bytes, types, compression, attributes, enumerations.

    DB is a kdb+ database directory; without it, the data directory's own history.

    \b
    Examples:
      tickloop hdb info
      tickloop hdb info /path/to/kdb/hdb --json
    """
    from tickloop.tickerplant.hdb_info import describe

    root = path if path is not None else newest_data(data) / "db"
    found = describe(root)
    if as_json:
        print(json.dumps(dataclasses.asdict(found), default=str))
        return
    _print(found)


def _print(found: object) -> None:
    from tickloop.app.hdb_text import lines

    for line in lines(found):
        print(line)


@hdb.command("import")
@click.argument("source", type=click.Path(path_type=Path, exists=True, file_okay=False))
@data_option
@click.option("--copy", is_flag=True, help="Copy the files; otherwise they are read where they are.")
def import_(
    source: Path, data: Path | None, config_path: Path | None, copy: bool
) -> None:
    """Mount (or copy) a kdb+ database directory as a data directory that SQL can ask.

    \b
    Example:
      tickloop hdb import /path/to/kdb/hdb --data old
      tickloop sql --data old "SELECT sym, sum(size) FROM trade GROUP BY sym"
    """
    from tickloop.app.options import new_data
    from tickloop.core.clock import today_utc
    from tickloop.tickerplant.hdb_info import import_database

    root = new_data(data, today_utc())
    root.mkdir(parents=True, exist_ok=True)
    import_database(source, root, copy=copy)
    verb = "copied" if copy else "mounted"
    print(f"{verb} {source} as {root}; ask it with: tickloop sql --data {root} \"SHOW TABLES\"")
