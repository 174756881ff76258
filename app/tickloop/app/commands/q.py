"""`tickloop q`: the q language at a terminal, from a script, or for one question."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tickloop.app.asking import FORMS, write_answer
from tickloop.app.options import data_option, newest_data
from tickloop.core.errors import QueryError

if TYPE_CHECKING:
    from tickloop.analytics.gateway.asker import Asker


@click.command(name="q")
@click.argument("text", metavar="[TEXT | SCRIPT.q]", required=False)
@data_option
@click.option("--connect", "address", metavar="HOST:PORT", help="Ask a server instead.")
@click.option(
    "--format", "form", type=click.Choice(FORMS), default="table", show_default=True,
    help="table is q's own display; arrow and parquet need --output.",
)  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write there.")
def q(
    text: str | None, data: Path | None, config_path: Path | None, address: str | None, form: str,
    output: Path | None,
) -> None:  # fmt: skip
    """Ask in q: without TEXT a console, with a file that ends in .q a script, else one question.

    Works beside a live run as on a directory at rest, and on any kdb+ database directory. The
    data is read-only; variables are yours.

    \b
    Examples:
      tickloop q
      tickloop q "select vwap:size wavg price by sym from trade"
      tickloop q --data day1 --format csv "5 sublist quote"
      tickloop q --connect localhost:5011 "tables[]"
      tickloop q report.q
    """
    from tickloop.analytics.gateway.asker import open_asker

    if form in ("arrow", "parquet") and output is None:
        raise click.UsageError(f"{form} is for files: add --output FILE")
    where: str | Path = address or newest_data(data)
    asker = open_asker(where)
    try:
        if text is None and sys.stdin.isatty():
            _console(asker)
        elif text is None or text == "-":
            _script(asker, sys.stdin.read(), form, output)
        elif text.endswith(".q") and Path(text).is_file():
            _script(asker, Path(text).read_text(encoding="utf-8", errors="surrogateescape"),
                    form, output)  # fmt: skip
        else:
            write_answer(asker, text, form, output)
    except KeyboardInterrupt as error:
        raise QueryError("stop: the question was interrupted") from error
    finally:
        asker.close()


def _console(asker: "Asker") -> None:
    from tickloop.app.console import console_size, run_console

    def answer(text: str) -> str:
        asker.rows, asker.columns = console_size()
        # Lines after the first belong to the same statement, as indented ones do in a script.
        return asker.shown(text.replace("\n", "\n "))

    run_console("q)", answer, asker.words, interrupt=asker.interrupt)


def _script(asker: "Asker", text: str, form: str, output: Path | None) -> None:
    from tickloop.analytics.q.scripts import statements_of

    for statement in statements_of(text):
        write_answer(asker, statement, form, output)
