"""`tickloop stream`: operators that fold the log, over a recorded day or as jobs on Flink."""

import json
from datetime import date
from pathlib import Path

import click

from tickloop.app.commands import stream_flink, stream_manifest, stream_watch
from tickloop.app.options import (
    SessionDate,
    data_option,
    json_option,
    newest_data,
    settings_of,
)
from tickloop.core.clock import monotonic_ns


@click.group()
def stream() -> None:
    """Run operators: bars, signals, pairs, feed quality, and your own."""


for _command in (
    stream_flink.setup, stream_flink.plan, stream_flink.deploy, stream_watch.status,
    stream_watch.logs, stream_flink.savepoint, stream_flink.upgrade, stream_flink.cancel,
    stream_manifest.manifest,
):  # fmt: skip
    stream.add_command(_command)


@stream.command("list")
@click.option("--operator", metavar="NAME|FILE", help="Describe one with its parameters.")
@json_option
def list_(operator: str | None, as_json: bool) -> None:
    """List the operators that can be run, with what they read, write and can be told.

    \b
    Examples:
      tickloop stream list
      tickloop stream list --operator bars
    """
    from tickloop.streaming.finding import find, names

    for name in [operator] if operator else names():
        found = find(name)
        doc = (type(found).__doc__ or "").strip()
        if as_json:
            parameters = {each.name: each.default for each in found.parameters}
            print(json.dumps({"name": found.name, "version": found.version,
                              "scope": found.scope.value, "reads": found.tables,
                              "writes": found.outputs, "parameters": parameters}))  # fmt: skip
            continue
        reads, writes = ", ".join(found.tables), ", ".join(found.outputs)
        print(f"{name:10} {doc.splitlines()[0] if doc else ''}\n{'':10} {reads} -> {writes}")
        for each in found.parameters:
            shown = f"{each.default!r}{' ns' if each.unit == 'ns' else ''}"
            print(f"{'':10}   {each.name} = {shown}: {each.meaning}; {each.expected}")
        if operator:
            print(f"\n{doc}")


@stream.command()
@click.argument("operator", metavar="OPERATOR|FILE.py")
@click.option(
    "--over", type=SessionDate(), required=True, metavar="DATE", help="The recorded session date."
)
@data_option
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="Set a parameter.")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write the rows there: .parquet, .csv or .arrow; several tables go to FILE-TABLE.",
)  # fmt: skip
@click.option(
    "--rows", type=click.IntRange(0), default=10, show_default=True, help="Rows a table to print."
)
@json_option
def run(
    operator: str, over: date, data: Path | None, config_path: Path | None,
    given: tuple[str, ...], output: Path | None, rows: int, as_json: bool,
) -> None:  # fmt: skip
    """Run an operator over a recorded day, from its log or from history, as it would run live.

    OPERATOR is one of `tickloop stream list`, or a file with a class of your own. Nothing is
    written into the data directory; a `[stream.NAME]` section of a configuration runs the same
    operator beside a capture, and its rows enter the tables.

    \b
    Examples:
      tickloop stream run bars --over 2026-11-20 --set interval=1s
      tickloop stream run pairs --over 2026-11-20 --set "pairs=AAPL/MSFT KO/PEP" --output z.parquet
      tickloop stream run my_op.py --over 2026-11-20 --data data/2026-11-20
    """
    from tickloop.app.stream_run import run_over

    started = monotonic_ns()
    done = run_over(newest_data(data), over, operator, settings_of(given), output)
    seconds = (monotonic_ns() - started) / 1e9
    if as_json:
        print(json.dumps({"operator": operator, "date": over.isoformat(), "rows_in": done.rows_in,
                          "rows_out": {n: t.num_rows for n, t in done.tables.items()},
                          "digest": done.digest, "files": [str(f) for f in done.files],
                          "seconds": round(seconds, 3)}))  # fmt: skip
        return
    for name, table in done.tables.items():
        done.show(name, rows)
        print(f"{name}: {table.num_rows:,} rows")
    for file in done.files:
        print(f"written to {file}")
    out = sum(table.num_rows for table in done.tables.values())
    print(
        f"ran {operator} over {over}: {done.rows_in:,} rows in, {out:,} out in {seconds:.1f} s,"
        f" digest {done.digest}"
    )
