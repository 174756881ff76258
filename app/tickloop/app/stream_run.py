"""One operator over one recorded day, from the log to a table."""

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from tickloop.analytics import result
from tickloop.app.derived_rows import tables
from tickloop.core.batch import Batch
from tickloop.core.errors import ConfigError
from tickloop.core.kernel import warm_up
from tickloop.core.own_tables import declared, known_tables
from tickloop.core.symbols import Symbols
from tickloop.streaming.drivers.batch import Driver
from tickloop.streaming.finding import find
from tickloop.streaming.fitting import check_rows
from tickloop.streaming.job import job
from tickloop.streaming.recorded import Day

if TYPE_CHECKING:
    import pyarrow as pa

_SUFFIXES = (".parquet", ".csv", ".arrow")


@dataclass(frozen=True, slots=True)
class Done:
    """What a run over a day made."""

    rows_in: int
    tables: Mapping[str, "pa.Table"]
    digest: str  # of the derived rows' bytes; equal rows have equal digests
    files: Sequence[Path]

    def show(self, name: str, rows: int) -> None:
        """Print the first rows of a table."""
        if rows:
            result.write(self.tables[name].slice(0, rows), "table", sys.stdout)


def run_over(
    root: Path, over: date, operator: str, given: Mapping[str, str], output: Path | None
) -> Done:
    """Run; ConfigError for a wrong parameter, OperatorError for an operator that is none."""
    if output is not None and output.suffix not in _SUFFIXES:
        raise ConfigError(f"{output}: a name that ends in {', '.join(_SUFFIXES)} expected")
    found = find(operator)
    wanted = job(found.name, found, given)
    day = Day(root, over)
    symbols = Symbols()
    counted = _Counted()
    warm_up()
    recorded = day.read(symbols, found.tables)
    made = list(Driver(wanted, counted.of(recorded.groups)).rows())
    for each in made:
        known = {each.table.name: each.table, **known_tables({}), **declared(found)}
        check_rows(wanted, each, {name: known[name] for name in found.outputs if name in known})
    fractional = recorded.fractional
    written = tables(made, symbols, recorded.instruments, fractional=fractional)
    files = [_write(table, name, output, len(written)) for name, table in written.items() if output]
    return Done(counted.rows, written, _digest(made), [file for file in files if file])


class _Counted:
    """Counts rows on their way."""

    def __init__(self) -> None:
        self.rows = 0

    def of(self, groups: Iterator[Sequence[Batch]]) -> Iterator[Sequence[Batch]]:
        for group in groups:
            self.rows += sum(len(batch) for batch in group)
            yield group


def _digest(made: Sequence[Batch]) -> str:
    """Digest each column of each table by itself, so that how rows came in pieces is not seen."""
    digests: dict[tuple[str, str], hashlib.blake2b] = {}
    for batch in made:
        for name, values in batch.columns.items():
            digest = digests.setdefault((batch.table.name, name), hashlib.blake2b(digest_size=8))
            digest.update(b"\n".join(values.tolist()) if values.dtype.kind == "S" else values.data)
            digest.update(b"\n" if values.dtype.kind == "S" else b"")
    whole = hashlib.blake2b(digest_size=8)
    for key, digest in sorted(digests.items()):
        whole.update(f"{key} {digest.hexdigest()}\n".encode())
    return whole.hexdigest()


def _write(table: "pa.Table", name: str, output: Path | None, count: int) -> Path | None:
    if output is None:
        return None
    path = output if count == 1 else output.with_name(f"{output.stem}-{name}{output.suffix}")
    if path.suffix == ".parquet":
        result.write_parquet(table, path)
    elif path.suffix == ".arrow":
        result.write_arrow(table, path)
    else:
        with path.open("w", newline="") as file:
            result.write(table, "csv", file)
    return path
