"""Answers to q text at a terminal or in a file, in the form that was asked for."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tickloop.analytics.gateway.asker import Asker

FORMS = ("table", "csv", "json", "arrow", "parquet")


def write_answer(asker: "Asker", text: str, form: str, output: Path | None) -> None:
    """Answer one question; nothing is written where q would print nothing."""
    if form == "table":
        shown = asker.shown(text)
        if output is None:
            sys.stdout.write(shown)
        else:
            output.write_text(shown, encoding="utf-8", errors="surrogateescape")
        return
    found = asker.value(text)
    if found is None:
        return
    from tickloop.analytics import result

    table = found.arrow()
    if form in ("arrow", "parquet"):
        assert output is not None, f"{form} without a file"
        writer = result.write_parquet if form == "parquet" else result.write_arrow
        writer(table, output)
    elif output is None:
        result.write(result.plain(table), form, sys.stdout)
    else:
        with output.open("w", newline="") as file:
            result.write(result.plain(table), form, file)
