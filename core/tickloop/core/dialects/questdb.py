"""QuestDB's spelling. Instants are TIMESTAMP_NS: nanoseconds, so nothing is rounded."""

from tickloop.core.schema import Kind, Table

TYPES: dict[Kind, str] = {
    Kind.INSTANT: "TIMESTAMP_NS",
    Kind.SPAN: "LONG",
    Kind.SYMBOL: "SYMBOL",
    Kind.PRICE: "DOUBLE",
    Kind.SIZE: "LONG",
    Kind.FLOAT: "DOUBLE",
    Kind.REAL: "FLOAT",
    Kind.LONG: "LONG",
    Kind.INT: "INT",
    Kind.SHORT: "INT",  # QuestDB's SHORT has no null
    Kind.BYTE: "INT",  # its BYTE is signed
    Kind.FLAG: "BOOLEAN",
    Kind.CHAR: "CHAR",
    Kind.GUID: "UUID",
    Kind.DATE: "TIMESTAMP_NS",
    Kind.MONTH: "TIMESTAMP_NS",
    Kind.DATETIME: "TIMESTAMP_NS",
    Kind.MINUTE: "INT",
    Kind.SECOND: "INT",
    Kind.MILLI: "INT",
    Kind.TEXT: "VARCHAR",
}


def type_text(kind: Kind, *, fractional: bool = False) -> str:
    """Spell a kind; sizes are doubles where quantities are fractional."""
    return "DOUBLE" if kind is Kind.SIZE and fractional else TYPES[kind]


def create(table: Table, *, fractional: bool = False) -> str:
    """Spell CREATE TABLE with the plant's time as designated timestamp and (time, sym, seq) as key.

    A row is identified by the plant's seq; time and sym are in the key because QuestDB wants the
    designated timestamp there and finds duplicates faster within a symbol.
    """
    body = ",\n  ".join(
        f"{column.name} {type_text(column.kind, fractional=fractional)}"
        + (" CAPACITY 16384 CACHE" if column.kind is Kind.SYMBOL else "")
        for column in table.columns
    )
    return (
        f"CREATE TABLE IF NOT EXISTS {table.name} (\n  {body}\n)"
        " TIMESTAMP(time) PARTITION BY DAY WAL DEDUP UPSERT KEYS(time, sym, seq)"
    )
