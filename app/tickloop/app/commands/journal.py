"""`tickloop journal`: look into logs, check them, and mend them."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tickloop.app.options import data_option, json_option, newest_data
from tickloop.core.catalog import Catalog
from tickloop.core.clock import iso
from tickloop.core.errors import DataDirectoryError

if TYPE_CHECKING:
    from tickloop.tickerplant.foreign_log import LogContents
    from tickloop.tickerplant.journal_check import Repaired


def _logs(path: Path | None, data: Path | None) -> tuple[list[Path], Catalog]:
    """Give the logs that were named, else all of the data directory, and its tables."""
    from tickloop.tickerplant.journal import logs
    from tickloop.tickerplant.manifest import read as read_manifest

    if path is not None:
        if not path.is_file():
            raise DataDirectoryError(f"{path}: no such journal file")
        root = path.parent.parent
        known = read_manifest(root) if path.parent.name == "journal" else None
        return [path], known.catalog if known else Catalog()
    root = newest_data(data)
    known = read_manifest(root)
    found = logs(root / "journal")
    if not found:
        raise DataDirectoryError(f"{root / 'journal'}: no journal files there")
    return found, known.catalog if known else Catalog()


_path = click.argument("path", required=False, type=click.Path(path_type=Path), metavar="[LOG]")


@click.group()
def journal() -> None:
    """Inspect, verify or repair the journal.

    \b
    Examples:
      tickloop journal inspect
      tickloop journal verify --data DIR
    """


@journal.command()
@_path
@data_option
@click.option("--limit", default=20, show_default=True, help="Messages to list; 0 for none.")
@json_option
def inspect(
    path: Path | None, data: Path | None, config_path: Path | None, limit: int, as_json: bool
) -> None:
    """List what a log holds: messages by table, rows, seqs and times (UTC).

    \b
    Examples:
      tickloop journal inspect
      tickloop journal inspect data/2026-11-21/journal/2026-11-20.log --limit 5
    """
    from tickloop.tickerplant.foreign_log import contents, is_foreign
    from tickloop.tickerplant.journal_check import verify

    files, catalog = _logs(path, data)
    for file in files:
        verdict = verify(file, catalog)
        if not verdict.messages and is_foreign(file):
            _show_foreign(contents(file), as_json=as_json)
            continue
        if as_json:
            print(json.dumps(verdict.as_json()))
            continue
        print(f"{file}: {verdict.size:,} bytes, {verdict.messages:,} messages")
        if verdict.first_seq is not None and verdict.first_time is not None:
            print(f"  seq  {verdict.first_seq} to {verdict.last_seq}")
            print(f"  time {iso(verdict.first_time)} to {iso(verdict.last_time or 0)}")
        for table, rows in sorted(verdict.rows.items()):
            print(f"  {table:12} {rows:>12,} rows")
        for line in _messages(file, catalog, limit):
            print(f"  {line}")


def _show_foreign(found: "LogContents", *, as_json: bool) -> bool:
    """Describe a log of another tickerplant; tell whether all of it parses."""
    if as_json:
        print(
            json.dumps(
                {"path": str(found.path), "bytes": found.size, "messages": found.messages,
                 "rows": dict(found.rows), "foreign": True, "stopped": found.reason,
                 "good": not found.reason}
            )
        )  # fmt: skip
        return not found.reason
    print(
        f"{found.path}: another tickerplant's log, {found.size:,} bytes, {found.messages:,}"
        " messages, no checksums"
    )
    for table, rows in sorted(found.rows.items()):
        print(f"  {table:12} {rows:>12,} rows")
    print(f"  {found.reason or 'it parses to its end'}")
    return not found.reason


def _messages(file: Path, catalog: Catalog, limit: int) -> Iterator[str]:
    from tickloop.tickerplant.layout import LOG_HEADER
    from tickloop.tickerplant.recovery import LogReader
    from tickloop.tickerplant.scan import START

    reader = LogReader(file, catalog)
    for found in reader.found(len(LOG_HEADER)):
        for index, rows in enumerate(reader.decoder.each(reader.bytes, found)):
            if limit <= 0:
                return
            limit -= 1
            offset = int(found.messages[index, START])
            first, last = rows.columns["seq"][0], rows.columns["seq"][-1]
            name = rows.table.name
            yield f"byte {offset:>10}  {name:10} {len(rows):>6} rows  seq {first}..{last}"


@journal.command()
@_path
@data_option
@json_option
def verify(path: Path | None, data: Path | None, config_path: Path | None, as_json: bool) -> int:
    """Check every byte: checksums of the sidecar and of the log itself, and that it parses.

    Exits 1 if damage was found, naming the bytes. Other tickerplants' logs have no checksums:
    of them only that they parse is checked.

    \b
    Example:
      tickloop journal verify --data data/2026-11-21
    """
    from tickloop.tickerplant.foreign_log import contents, is_foreign
    from tickloop.tickerplant.journal_check import verify as check

    files, catalog = _logs(path, data)
    good = True
    for file in files:
        verdict = check(file, catalog)
        if not verdict.messages and is_foreign(file):
            good = _show_foreign(contents(file), as_json=as_json) and good
            continue
        good = good and verdict.is_good
        if as_json:
            print(json.dumps(verdict.as_json()))
            continue
        state = "good" if verdict.is_good else "DAMAGED"
        print(
            f"{file}: {state}, {verdict.messages:,} messages in {verdict.size:,} bytes,"
            f" {verdict.unverified:,} bytes covered by no checksum"
        )
        for damage in verdict.damage:
            print(f"  {damage}")
        if verdict.damage and verdict.messages:
            print(f"  keep what is good with: tickloop journal repair {file}")
    return 0 if good else 1


@journal.command()
@_path
@data_option
def repair(path: Path | None, data: Path | None, config_path: Path | None) -> int:
    """Rewrite damaged logs from their good messages; the damaged file is kept beside it.

    A checksum vouches for a whole group of messages, so one flipped bit costs its group; what
    was left out is told. Only the log changes: rows that history has stay there. Refused while
    a capture holds the data directory.

    \b
    Example:
      tickloop journal repair data/2026-11-21/journal/2026-11-20.log
    """
    from tickloop.tickerplant.directory import DataDirectory
    from tickloop.tickerplant.file_door import OsFileDoor
    from tickloop.tickerplant.journal_check import repair as mend

    files, catalog = _logs(path, data)
    directory = DataDirectory(files[0].parent.parent)
    # A log that was copied out of its data directory is nobody else's.
    if files[0].parent.name == "journal" and (directory.root / "lock").exists():
        directory.hold()
    try:
        for file in files:
            done = mend(file, catalog, OsFileDoor())
            if done is None:
                print(f"{file}: nothing to repair")
                continue
            print(f"{file}: {done.messages:,} messages kept; the original is {done.original.name}")
            for line in _left_out(done):
                print(f"  {line}", file=sys.stderr)
    finally:
        directory.release()
    return 0


def _left_out(done: "Repaired") -> Iterator[str]:
    for damage in done.left_out:
        yield f"left out {damage}"
    lost = {name: rows for name, rows in sorted(done.rows_left_out.items()) if name != "journal"}
    told = ", ".join(f"{name} {rows:,}" for name, rows in lost.items()) or "none that parse"
    yield (
        f"rows in there: {told}; a checksum vouches for a whole group of messages, so one flipped"
        f" bit costs its group: {done.original.name} has them still, as has history if they were"
        " flushed"
    )
