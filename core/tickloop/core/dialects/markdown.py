"""Markdown's spelling: the reference page of tables, made from the schema."""

import sys
from collections.abc import Iterable, Iterator

from tickloop.core.dialects import q
from tickloop.core.schema import TABLES, Column, Kind, Table, Whose

_HEAD = """# Tables

Made from `core/tickloop/core/schema.py` by `python -m tickloop.core.dialects.markdown`.

All instants are nanoseconds in UTC. `time` is the plant's clock when the row entered the log: it
never decreases in `seq`; in a replay it is the feed's own clock. `venue_time` is the venue's stamp
and may do anything. `seq` is one counter over all tables, never used twice. Sizes are longs, or
floats in a data directory for fractional quantities (crypto). Inside, prices and sizes are whole
numbers of the instrument's unit (`instrument.price_unit`, a power of ten).
"""
_UNITS = {Kind.PRICE: "in the instrument's currency", Kind.SIZE: "shares, contracts or coins"}
_CLOCKS = {Whose.PLANT: "plant's clock", Whose.VENUE: "venue's clock"}


def page(tables: Iterable[Table] = TABLES) -> str:
    """Spell the whole page."""
    return _HEAD + "".join(line for table in tables for line in _table(table))


def _table(table: Table) -> Iterator[str]:
    yield f"\n## {table.name}\n\n| column | q type | meaning |\n|---|---|---|\n"
    for column in table.columns:
        yield f"| {column.name} | {q.type_name(column.kind)} | {_meaning(column)} |\n"


def _meaning(column: Column) -> str:
    clock = _CLOCKS.get(column.clock) if column.clock else None
    parts = [column.meaning or _UNITS.get(column.kind, ""), clock or ""]
    return "; ".join(filter(None, parts))


if __name__ == "__main__":
    sys.stdout.write(page())
