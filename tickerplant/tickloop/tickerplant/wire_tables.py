"""Surface rows, empty schemas and `meta` as the q values that peers are answered with."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tickloop.core.dialects import q as q_dialect
from tickloop.core.schema import Kind, Table
from tickloop.tickerplant import q_values as q
from tickloop.tickerplant.names import Names


def table_of(
    table: Table, columns: Mapping[str, npt.NDArray[np.generic]], names: Names, *, fractional: bool
) -> q.Table:
    """Make a q table of surface rows."""
    made: dict[str, q.Value] = {}
    for column in table.columns:
        values = columns[column.name]
        if column.kind is Kind.SYMBOL:
            text = names.encode(values.astype(np.int32)).tobytes()
            made[column.name] = q.SymbolVector(text, len(values))
        elif column.kind is Kind.TEXT:
            made[column.name] = q.List(tuple(q.chars(text) for text in values.tolist()))
        else:
            number = q_dialect.type_number(column.kind, fractional=fractional)
            made[column.name] = q.vector(q.QType(number), values)
    return q.table(made)


def empty_of(table: Table, *, fractional: bool) -> q.Table:
    """Make a table's empty schema, grouped by symbol as kdb+ tickerplants answer it."""
    made: dict[str, q.Value] = {}
    for column in table.columns:
        grouped = q.Attribute.GROUPED if column.name == "sym" else q.Attribute.NONE
        if column.kind is Kind.SYMBOL:
            made[column.name] = q.SymbolVector(b"", 0, grouped)
        elif column.kind is Kind.TEXT:
            made[column.name] = q.List(())
        else:
            number = q_dialect.type_number(column.kind, fractional=fractional)
            made[column.name] = q.vector(q.QType(number), [])
    return q.table(made)


def meta_of(table: Table, *, fractional: bool) -> q.Dictionary:
    """Make what `meta` answers: columns c to type t, foreign key f, attribute a."""
    characters = "".join(
        q_dialect.type_character(column.kind, fractional=fractional) for column in table.columns
    )
    attributes = ["g" if column.name == "sym" else "" for column in table.columns]
    return q.Dictionary(
        q.table({"c": q.symbols(table.names)}),
        q.table(
            {
                "t": q.chars(characters),
                "f": q.symbols([""] * len(table.names)),
                "a": q.symbols(attributes),
            }
        ),
    )
