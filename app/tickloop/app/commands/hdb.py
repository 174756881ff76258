"""`tickloop hdb`: what history holds, how a kdb+ database joins it, and how one is made of it."""

import json
from collections.abc import Iterator
from datetime import date
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
    """Describe history, import a kdb+ database, or export one.

    \b
    Examples:
      tickloop hdb info --data DIR
      tickloop hdb import /path/to/kdb/hdb --data old
      tickloop hdb export --data DIR --to hdb
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


@hdb.command()
@data_option
@click.option(
    "--to",
    "target",
    required=True,
    type=click.Path(path_type=Path),
    metavar="NEW_DIR",
    help="The database's directory, which must not exist yet.",
)
@click.option(
    "--tables",
    default="",
    metavar="NAME[,NAME...]",
    help="Only these tables [default: all that have rows, but the log's own].",
)
@click.option(
    "--dates", default="", metavar="FIRST[..LAST]", help="Only these session dates [default: all]."
)
@json_option
def export(
    data: Path | None,
    config_path: Path | None,
    target: Path,
    tables: str,
    dates: str,
    as_json: bool,
) -> None:
    """Write a kdb+ database that q can mount: `sym`, and a splayed table a date.

    Holds history and today's rows as they are now; a capture may go on meanwhile. Prices are
    floats and symbols are enumerated; rows are in groups by symbol, so that q can set `p#`.

    \b
    Examples:
      tickloop hdb export --to hdb
      tickloop hdb export --data day1 --to hdb --tables trade,quote --dates 2024-01-02..2024-01-05
    """  # fmt: skip
    from tickloop.app.progress import ProgressLine
    from tickloop.tickerplant.hdb_export import Wanted, export_database

    first, last = _range(dates)
    names = tuple(name.strip() for name in tables.split(",") if name.strip())
    line = ProgressLine(quiet=as_json)
    done = export_database(
        newest_data(data), target, Wanted(names, first, last),
        tell=lambda at, of, what: line.step(f"{at} of {of} partitions written; now {what}"),
    )  # fmt: skip
    line.clear()
    if as_json:
        print(json.dumps(done.as_json()))
        return
    print(
        f"exported {sum(done.rows.values()):,} rows of {len(done.rows)} tables,"
        f" {done.dates[0]} to {done.dates[-1]}, {done.symbols:,} symbols,"
        f" {done.bytes / 1e6:,.1f} MB to {done.root}; mount it in q with: \\l {done.root}"
    )


def _range(text: str) -> tuple[date, date]:
    first, dots, last = text.partition("..")
    try:
        start = date.fromisoformat(first) if first else date.min
        stop = date.fromisoformat(last) if last else start if first and not dots else date.max
    except ValueError:
        raise click.UsageError(
            f"--dates {text!r} seen, a date or two such as 2024-01-02..2024-01-05 expected"
        ) from None
    return start, stop
