"""An answer as Python uses it: pandas, Polars, Arrow, NumPy, PyKX; how it looks in a notebook."""

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from tickloop.analytics.gateway.arrow_values import arrow_of, whole_sums
from tickloop.analytics.gateway.chart import Chart, chart_of
from tickloop.analytics.gateway.numpy_values import columns_of, numpy_of
from tickloop.analytics.q.values import Dictionary, Table, Value, count_of, is_keyed_table

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

_HTML_ROWS = 50


class Result:
    """One answer. Conversions keep nulls as nulls, symbols as strings, instants as UTC."""

    def __init__(self, value: Value, table: "pa.Table | None" = None) -> None:
        self._value = value
        self._table = table

    @classmethod
    def of_arrow(cls, table: "pa.Table") -> "Result":
        """Make a result of what SQL gave."""
        from tickloop.analytics.q.convert_arrow import arrow_value

        return cls(arrow_value(whole_sums(table)), table)

    @property
    def value(self) -> Value:
        """The answer as a q value."""
        return self._value

    def __len__(self) -> int:
        return count_of(self._value)

    def arrow(self) -> "pa.Table":
        """Give an Arrow table; a list or an atom is its column `value`."""
        if self._table is None:
            self._table = arrow_of(self._value)
        return self._table

    def pandas(self) -> "pd.DataFrame":
        """Give a pandas frame; the keys of a keyed table are its index.

        Whole numbers and booleans with nulls have pandas' nullable types, which keep each digit.
        """
        from tickloop.analytics.result import plain

        table = plain(self.arrow())
        frame: pd.DataFrame = table.to_pandas(date_as_object=False)
        for position, column in enumerate(table.columns):
            if column.null_count and (kind := _nullable(column.type)):
                exact = column.to_pandas(types_mapper=lambda _, kind=kind: kind)
                frame.isetitem(position, exact)
        if isinstance(self._value, Dictionary) and is_keyed_table(self._value):
            keys = self._value.keys
            assert isinstance(keys, Table)
            return frame.set_index(list(keys.names))
        return frame

    def polars(self) -> "pl.DataFrame":
        """Give a Polars frame."""
        import polars as pl

        found = pl.from_arrow(self.arrow())
        assert isinstance(found, pl.DataFrame)
        return found

    def numpy(self) -> Any:
        """Give NumPy arrays: one for a list, by column name for a table, a scalar for an atom."""
        return numpy_of(self._value)

    def pykx(self) -> Any:
        """Give PyKX's own object, of the same q type; ConfigError if PyKX is not installed."""
        from tickloop.analytics.q.wire import to_wire
        from tickloop.tickerplant.pykx_link import to_pykx

        return to_pykx(to_wire(self._value))

    def plot(self, x: str | None = None, y: str | list[str] | None = None) -> Chart:
        """Draw columns as lines: `y` (every number by default) over `x` (the first column)."""
        columns = {name: np.asarray(column) for name, column in columns_of(self._value).items()}
        return chart_of(columns, x, [y] if isinstance(y, str) else y)

    def __repr__(self) -> str:
        return text_of_value(self._value)

    def _repr_html_(self) -> str:
        return html_of(self)


def _nullable(kind: "pa.DataType") -> Any:
    """Give pandas' type that holds nulls beside whole numbers or booleans; None for the others."""
    import pandas as pd
    import pyarrow as pa

    if pa.types.is_integer(kind):
        name = str(kind)  # int64, uint8
        return pd.api.types.pandas_dtype(name.replace("int", "Int").replace("uI", "UI"))
    return pd.BooleanDtype() if pa.types.is_boolean(kind) else None


def text_of_value(value: Value) -> str:
    """Show a value as the console does."""
    from tickloop.analytics.q.console import show

    return show(value).rstrip("\n")


def html_of(result: Result) -> str:
    """Show the first rows as an HTML table."""
    if not columns_of(result.value):
        return f"<pre>{escape(repr(result))}</pre>"
    from tickloop.analytics.result import plain, rows_of

    table = plain(result.arrow())
    heads = "".join(f"<th>{escape(name)}</th>" for name in table.column_names)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(_cell(cell))}</td>" for cell in row) + "</tr>"
        for row in rows_of(table.slice(0, _HTML_ROWS))
    )
    more = f"<p>{table.num_rows:,} rows, {_HTML_ROWS} shown</p>"
    shown = more if table.num_rows > _HTML_ROWS else f"<p>{table.num_rows:,} rows</p>"
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>{shown}"


def _cell(cell: object) -> str:
    return "" if cell is None else str(cell)
