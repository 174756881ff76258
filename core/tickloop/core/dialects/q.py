"""q's spelling: type names, characters and numbers, and schema text that any kdb+ can load."""

from tickloop.core.schema import Kind, Table

TYPES: dict[Kind, str] = {
    Kind.INSTANT: "timestamp",
    Kind.SPAN: "timespan",
    Kind.SYMBOL: "symbol",
    Kind.PRICE: "float",
    Kind.SIZE: "long",
    Kind.FLOAT: "float",
    Kind.REAL: "real",
    Kind.LONG: "long",
    Kind.INT: "int",
    Kind.SHORT: "short",
    Kind.BYTE: "byte",
    Kind.FLAG: "boolean",
    Kind.CHAR: "char",
    Kind.GUID: "guid",
    Kind.DATE: "date",
    Kind.MONTH: "month",
    Kind.DATETIME: "datetime",
    Kind.MINUTE: "minute",
    Kind.SECOND: "second",
    Kind.MILLI: "time",
    Kind.TEXT: "",  # a general list of char vectors
}
NUMBERS: dict[str, int] = {
    "": 0,
    "boolean": 1,
    "guid": 2,
    "byte": 4,
    "short": 5,
    "int": 6,
    "long": 7,
    "real": 8,
    "float": 9,
    "char": 10,
    "symbol": 11,
    "timestamp": 12,
    "month": 13,
    "date": 14,
    "datetime": 15,
    "timespan": 16,
    "minute": 17,
    "second": 18,
    "time": 19,
}
CHARACTERS: dict[str, str] = dict(zip(NUMBERS, " bgxhijefcspmdznuvt", strict=True))


def type_name(kind: Kind, *, fractional: bool = False) -> str:
    """Name a kind's q type; sizes are floats where quantities are fractional."""
    return "float" if kind is Kind.SIZE and fractional else TYPES[kind]


def type_number(kind: Kind, *, fractional: bool = False) -> int:
    """Give a kind's q type number, as on the wire."""
    return NUMBERS[type_name(kind, fractional=fractional)]


def type_character(kind: Kind, *, fractional: bool = False) -> str:
    """Give a kind's character as `meta` shows it; `C` for text."""
    return "C" if kind is Kind.TEXT else CHARACTERS[type_name(kind, fractional=fractional)]


def empty(table: Table, *, fractional: bool = False) -> str:
    """Spell an empty table as q text, as a tickerplant's schema file holds it."""

    def column_text(name: str, kind: Kind) -> str:
        name_of_type = type_name(kind, fractional=fractional)
        return f"{name}:`{name_of_type}$()" if name_of_type else f"{name}:()"

    body = "; ".join(column_text(column.name, column.kind) for column in table.columns)
    return f"{table.name}:([] {body})"
