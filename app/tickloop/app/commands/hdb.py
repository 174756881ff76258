"""`tickloop hdb`: what history holds, and how a kdb+ database joins it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tickloop.app.options import data_option, json_option, new_data, newest_data
from tickloop.core.clock import today_utc
from tickloop.core.errors import StoreError

if TYPE_CHECKING:
    from tickloop.tickerplant.hdb_info import DatabaseInfo


@click.group()
def hdb() -> None:
    """Describe history, or import a kdb+ database.

    \b
    Examples:
      tickloop hdb info --data DIR
      tickloop hdb import /path/to/kdb/hdb --data old
    """


@hdb.command()
@click.argument("path", required=False, type=click.Path(path_type=Path), metavar="[DB]")
@data_option
@json_option
def info(path: Path | None, data: Path | None, config_path: Path | None, as_json: bool) -> None:
    """List partitions and tables: rows, bytes, types, compression, attributes, enumerations.

    DB is a kdb+ database directory; without it, the data directory's own history.

    \b
    Examples:
      tickloop hdb info
      tickloop hdb info /path/to/kdb/hdb --json
    """
    from tickloop.tickerplant.hdb_info import NO_TABLES, database_of, describe

    found = describe(path if path is not None else database_of(newest_data(data)))
    if not found.tables and not found.damage:
        raise StoreError(f"{found.root}: {NO_TABLES}")
    if as_json:
        print(json.dumps(found.as_json()))
        return
    for line in _lines(found):
        print(line)


def _lines(found: "DatabaseInfo") -> Iterator[str]:
    first = f"{found.partitions[0]} to {found.partitions[-1]}" if found.partitions else "none"
    yield f"{found.root}: {len(found.partitions)} partitions ({first})"
    for domain, names in found.domains.items():
        yield f"  enumeration {domain}: {names:,} symbols"
    for table in found.tables:
        where = "splayed" if table.splayed else f"{table.partitions} partitions"
        yield f"  {table.name}: {table.rows:,} rows, {table.bytes / 1e6:,.1f} MB, {where}"
        for column in table.columns:
            kind = column.kind.value if column.kind else f"type {column.type}"
            notes = " ".join(filter(None, (column.attribute, column.domain, column.compression)))
            yield f"    {column.name:14} {kind:10} {column.bytes:>14,} bytes  {notes}".rstrip()
    for damage in found.damage:
        yield f"  damaged: {damage}"


@hdb.command("import")
@click.argument("source", type=click.Path(path_type=Path, exists=True, file_okay=False))
@data_option
@click.option("--copy", is_flag=True, help="Copy the files; else they are read in place.")
def import_(source: Path, data: Path | None, config_path: Path | None, copy: bool) -> None:
    """Mount (or copy) a kdb+ database directory as a data directory that SQL can ask.

    \b
    Example:
      tickloop hdb import /path/to/kdb/hdb --data old
      tickloop sql --data old "SELECT sym, sum(size) FROM trade GROUP BY sym"
    """
    from tickloop.tickerplant.hdb_info import import_database

    root = new_data(data, today_utc())
    import_database(source, root, copy=copy)
    verb = "copied" if copy else "mounted"
    print(f'{verb} {source} as {root}; ask it with: tickloop sql --data {root} "SHOW TABLES"')
