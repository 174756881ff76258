"""Tables that users' operators write: declared beside the operator, known wherever it runs."""

from collections.abc import Iterable, Mapping, Sequence

from tickloop.core.errors import SchemaError
from tickloop.core.operator import Declaring, Operator
from tickloop.core.schema import CAUSED, DERIVED, RESERVED_NAMES, TABLES, Column, Kind, Table
from tickloop.core.user_tables import KINDS, table

# Inside, prices and sizes are whole numbers of the instrument's units, as in market data.
_KINDS = {**KINDS, "price": Kind.PRICE, "size": Kind.SIZE}
_GIVEN = frozenset({"time", "sym", "seq", *(column.name for column in CAUSED)})
_BUILT_IN = {table.name: table for table in TABLES}


def own_table(name: str, columns: Mapping[str, str]) -> Table:
    """Declare a table of derived rows: ``own_table("flow", {"net": "long", "last": "price"})``.

    Types are q's, and `price` and `size`. The columns that every derived row has are added:
    `time` and `sym` in front, `stream`, `cause_time`, `cause`, `ordinal` and `seq` at the end.
    SchemaError names what no table can have.
    """
    if name in _BUILT_IN or name in RESERVED_NAMES:
        raise SchemaError(f"table {name!r} is one of tickloop's own names; name yours otherwise")
    for key, kind in columns.items():
        if key in _GIVEN:
            raise SchemaError(
                f"{name}.{key}: every derived row has a column {key}; leave it out here, and give"
                " it in `step`"
            )
        if kind == "string":
            raise SchemaError(
                f"{name}.{key}: string seen; operators give names as symbol, and no other text"
            )
        if kind not in _KINDS:
            known = ", ".join(kind for kind in _KINDS if kind != "string")
            raise SchemaError(f"{name}.{key}: {kind!r} seen, one of {known} expected")
    body = table(name, {key: _KINDS[kind] for key, kind in columns.items()}).columns
    return Table(name, (*body[:-1], *CAUSED, body[-1]))


def declared(operator: Operator) -> Mapping[str, Table]:
    """Give the tables that an operator brings along, by name; SchemaError for what is none."""
    given: object = operator.own_tables if isinstance(operator, Declaring) else ()
    found: dict[str, Table] = {}
    for each in given if isinstance(given, Sequence) else (given,):
        if not isinstance(each, Table):
            raise SchemaError(
                f"operator {operator.name}: own_tables holds {each!r:.60}, a table expected, as"
                ' own_table("flow", {"net": "long"}) makes one'
            )
        if each.name in _BUILT_IN or each.name in RESERVED_NAMES:
            raise SchemaError(
                f"operator {operator.name}: table {each.name!r} is one of tickloop's own names;"
                " name yours otherwise"
            )
        if not each.is_derived or any(column.kind is Kind.TEXT for column in each.columns):
            raise SchemaError(
                f"operator {operator.name}: table {each.name} is not one of derived rows; make it"
                f' with own_table("{each.name}", {{...}})'
            )
        found[each.name] = each
    return found


def check_outputs(operator: Operator) -> None:
    """Refuse an operator that writes what only feeds or the log may write; SchemaError."""
    own = declared(operator)
    inputs = {name for name in _BUILT_IN if name not in {each.name for each in DERIVED}}
    if wrong := [name for name in operator.outputs if name in inputs]:
        raise SchemaError(
            f"operator {operator.name} writes {wrong[0]}, whose rows are no derived ones; declare a"
            f' table of its own: own_tables = (own_table("my_{wrong[0]}", {{...}}),)'
        )
    if unused := [name for name in own if name not in operator.outputs]:
        raise SchemaError(
            f"operator {operator.name} declares table {unused[0]}, which is not among its outputs"
            f" ({', '.join(operator.outputs)}); add it there"
        )


def same(one: Table, other: Table) -> bool:
    """Tell whether two tables have the same columns."""
    return (one.name, one.names, one.kinds) == (other.name, other.names, other.kinds)


def spelled(tables: Iterable[Table]) -> dict[str, str]:
    """Spell those that do not come with Tickloop, as ``{"flow": "time:instant sym:symbol"}``."""
    return {
        each.name: " ".join(f"{column.name}:{column.kind.value}" for column in each.columns)
        for each in tables
        if each.name not in _BUILT_IN
    }


def known_tables(spelling: Mapping[str, str]) -> dict[str, Table]:
    """Give Tickloop's tables and those that are spelled; SchemaError for what spells none."""
    return {**_BUILT_IN, **{name: _read(name, text) for name, text in spelling.items()}}


def _read(name: str, text: str) -> Table:
    try:
        pairs = [each.split(":") for each in text.split()]
        return Table(name, tuple(Column(column, Kind(kind)) for column, kind in pairs))
    except (ValueError, AssertionError) as error:
        raise SchemaError(f"table {name}: {text[:60]!r} spells no columns ({error})") from error
