"""Arrow's spelling: the schema that query results and Parquet files carry."""

from typing import TYPE_CHECKING

from tickloop.core.schema import Kind, Table

if TYPE_CHECKING:
    import pyarrow as pa

TYPES: dict[Kind, str] = {
    Kind.INSTANT: "timestamp[ns, tz=UTC]",
    Kind.SPAN: "duration[ns]",
    Kind.SYMBOL: "string",
    Kind.PRICE: "double",
    Kind.SIZE: "int64",
    Kind.FLOAT: "double",
    Kind.REAL: "float",
    Kind.LONG: "int64",
    Kind.INT: "int32",
    Kind.SHORT: "int16",
    Kind.BYTE: "uint8",
    Kind.FLAG: "bool",
    Kind.CHAR: "string",
    Kind.GUID: "fixed_size_binary[16]",
    Kind.DATE: "date32[day]",
    Kind.MONTH: "date32[day]",
    Kind.DATETIME: "timestamp[ns, tz=UTC]",
    Kind.MINUTE: "time32[s]",
    Kind.SECOND: "time32[s]",
    Kind.MILLI: "time32[ms]",
    Kind.TEXT: "string",
}


def type_text(kind: Kind, *, fractional: bool = False) -> str:
    """Spell a kind as Arrow prints it; sizes are doubles where quantities are fractional."""
    return "double" if kind is Kind.SIZE and fractional else TYPES[kind]


def _type(text: str) -> "pa.DataType":
    import pyarrow as pa

    special = {
        "timestamp[ns, tz=UTC]": pa.timestamp("ns", tz="UTC"),
        "duration[ns]": pa.duration("ns"),
        "fixed_size_binary[16]": pa.binary(16),
        "date32[day]": pa.date32(),
        "time32[s]": pa.time32("s"),
        "time32[ms]": pa.time32("ms"),
        "bool": pa.bool_(),
        "double": pa.float64(),
        "float": pa.float32(),
        "string": pa.string(),
    }
    return special[text] if text in special else getattr(pa, text)()


def schema(table: Table, *, fractional: bool = False) -> "pa.Schema":
    """Build a table's Arrow schema."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(column.name, _type(type_text(column.kind, fractional=fractional)))
            for column in table.columns
        ]
    )
