"""`tickloop explain`: what a q or SQL statement reads, and how each of its steps is done."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tickloop.app.options import data_option, json_option, newest_data

if TYPE_CHECKING:
    from tickloop.analytics.explain import Explained, Read


@click.command()
@click.argument("statement")
@data_option
@click.option("--sql/--q", "sql", default=None, help="The language; guessed without.")
@json_option
def explain(
    statement: str, data: Path | None, config_path: Path | None, sql: bool | None, as_json: bool
) -> None:
    """Run STATEMENT, in q or SQL, and show what it read and how.

    Partitions and columns that were touched, the algorithm of each step, rows in and out, time.
    A statement is SQL if it begins with `s)` or with SQL's first word in capitals.

    \b
    Examples:
      tickloop explain "select vwap:size wavg price by sym from trade"
      tickloop explain --data day1 "SELECT sym, count(*) FROM trade GROUP BY sym"
    """
    from tickloop.analytics.explain import explain as explained

    found = explained(newest_data(data), statement, sql=sql)
    print(json.dumps(asdict(found)) if as_json else "\n".join(_lines(found)))


def _lines(found: "Explained") -> Iterator[str]:
    yield f"{found.language}: {found.rows:,} rows in {found.ms:.3f} ms"
    yield from map(_read_line, found.reads)
    rows = [("step", "rows in", "rows out", "ms", "how")]
    for step in found.steps:
        times = f" {step.times}×" if step.times > 1 else ""
        about = f" {step.about}" if step.about else ""
        rows.append(
            ("  " * step.depth + step.name + about + times, _count(step.rows_in),
             _count(step.rows_out), f"{step.ms:.3f}", step.how)
        )  # fmt: skip
    widths = [max(len(row[place]) for row in rows) for place in range(4)]
    for name, given, made, took, how in rows:
        line = f"{name:{widths[0]}}  {given:>{widths[1]}}  {made:>{widths[2]}}  {took:>{widths[3]}}"
        yield f"{line}  {how}".rstrip()


def _count(rows: int | None) -> str:
    return "" if rows is None else f"{rows:,}"


def _read_line(read: "Read") -> str:
    return (
        f"reads {read.table}: {read.partitions} of {read.partitions_all} {read.by}s,"
        f" {read.parts} of {read.parts_all} parts,"
        f" {len(read.columns)} of {read.columns_all} columns ({', '.join(read.columns) or 'none'})"
    )
