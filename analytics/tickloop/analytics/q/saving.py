"""Tables to databases: enumerating symbols, and writing partitions sorted by a field."""

from pathlib import Path

from tickloop.analytics.q.attributes import with_attribute
from tickloop.analytics.q.enumerations import extend
from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.file_paths import file_of, path_of, refused
from tickloop.analytics.q.object_files import read_value, write_value
from tickloop.analytics.q.registry import Interpreter, call, register
from tickloop.analytics.q.splayed_files import is_table, read_table, write_table
from tickloop.analytics.q.values import (
    Attribute,
    List,
    Nil,
    QType,
    Table,
    Value,
    Vector,
    is_keyed_table,
    long,
    name_of,
    names_of,
    plain,
    symbol,
    symbols,
    text_of,
)

SYM = "sym"
PAR_FILE = "par.txt"


def enumerated(session: Interpreter, root: Path, table: Value, domain: str) -> Value:
    """Enumerate a table's symbols by a list that is kept in a file of the database."""
    file = root / domain
    if file.exists():
        session.set(domain, plain(read_value(session, file)))
    else:
        session.set(domain, symbols(()))
    if is_keyed_table(table):
        return call(
            session,
            "!",
            *[
                enumerated(session, root, part, domain)
                for part in (table.keys, table.values)  # type: ignore[union-attr]
            ],
        )
    if not isinstance(table, Table):
        raise type_error("a table needed")
    columns = [_enumerated(session, domain, column) for column in table.columns]
    write_value(file, session.get(domain))
    return Table(table.names, tuple(columns))


def _in_memory(session: Interpreter, table: Value, domain: str) -> Value:
    if not isinstance(table, Table):
        raise type_error("a table without keys needed")
    try:
        session.get(domain)
    except QError:
        session.set(domain, symbols(()))
    columns = [_enumerated(session, domain, column) for column in table.columns]
    return Table(table.names, tuple(columns))


def _enumerated(session: Interpreter, domain: str, column: Value) -> Value:
    if isinstance(column, Vector) and column.type is QType.SYMBOL:
        return extend(session, domain, column)
    if isinstance(column, List) and any(
        isinstance(item, Vector) and item.type is QType.SYMBOL for item in column.items
    ):
        return List(tuple([_enumerated(session, domain, item) for item in column.items]))
    return column


def extend_file(session: Interpreter, name: str, value: Value) -> Value:
    """Enumerate by the list in a file, and in a variable of its name, adding what they lack."""
    file = path_of(session, name)
    known = plain(read_value(session, file)) if file.exists() else symbols(())
    session.set(file.name, known)
    found = extend(session, file.name, value)
    write_value(file, session.get(file.name))
    return found


@register(".Q.en", rank=2, session=True)
def en(session: Interpreter, root: Value, table: Value) -> Value:
    """Enumerate a table's symbols by the file `sym` of a database; with ::, in memory alone."""
    if isinstance(root, Nil):
        return _in_memory(session, table, SYM)
    return enumerated(session, file_of(session, root), table, SYM)


@register(".Q.ens", rank=3, session=True)
def ens(session: Interpreter, root: Value, table: Value, domain: Value) -> Value:
    """Enumerate a table's symbols by a list that is a file of a database."""
    return enumerated(session, file_of(session, root), table, _name(domain))


def _name(value: Value) -> str:
    name = name_of(value)
    if name is None:
        raise type_error("a name needed")
    return name


@register(".Q.par", rank=3, session=True)
def par(session: Interpreter, root: Value, partition: Value, table: Value) -> Value:
    """Give where a table of a partition lies, be it in a segment."""
    place = _place(session, _name(root), partition)
    return symbol(f"{place}/{_name(table)}")


def _place(session: Interpreter, root: str, partition: Value) -> str:
    listing = path_of(session, root) / PAR_FILE
    spelled = text_of(call(session, "string", partition)) or ""
    if not listing.is_file():
        return f"{root}/{spelled}"
    homes = [line.strip() for line in listing.read_text().splitlines() if line.strip()]
    number = int(getattr(partition, "value", 0))
    home = homes[number % len(homes)].removeprefix(":")
    return f":{Path(root.removeprefix(':')) / home}/{spelled}"


def _sorted_by(session: Interpreter, table: Table, field: str) -> Table:
    if field not in table.names:
        raise QError("type", f"the table has no column {field}")
    rows = call(session, "iasc", table.column(field))
    names = (field, *[name for name in table.names if name != field])
    columns = [session.apply(table.column(name), (rows,)) for name in names]
    columns[0] = with_attribute(columns[0], Attribute.PARTED)
    return Table(names, tuple(columns))


def _save(
    session: Interpreter, root: Value, partition: Value, field: str | None, name: Value, domain: str
) -> Value:
    table = session.get(_name(name))
    if not isinstance(table, Table):
        raise type_error("a table without keys needed, by its name")
    made = enumerated(session, file_of(session, root), table, domain)
    assert isinstance(made, Table)
    if field is not None:
        made = _sorted_by(session, made, field)
    place = name_of(par(session, root, partition, name)) or ""
    write_table(path_of(session, place), made)
    return name


@register(".Q.dpft", rank=4, session=True)
def dpft(session: Interpreter, root: Value, part: Value, field: Value, table: Value) -> Value:
    """Save a table into a partition, its rows together by a field."""
    return _save(session, root, part, _name(field), table, SYM)


@register(".Q.dpfts", rank=5, session=True)
def dpfts(
    session: Interpreter, root: Value, part: Value, field: Value, table: Value, domain: Value
) -> Value:
    """Save a table into a partition by a field, its symbols enumerated by a list of that name."""
    return _save(session, root, part, _name(field), table, _name(domain))


@register(".Q.dpt", rank=3, session=True)
def dpt(session: Interpreter, root: Value, part: Value, table: Value) -> Value:
    """Save a table into a partition as it is."""
    return _save(session, root, part, None, table, SYM)


@register(".Q.dpts", rank=4, session=True)
def dpts(session: Interpreter, root: Value, part: Value, table: Value, domain: Value) -> Value:
    """Save a table into a partition as it is, its symbols enumerated by a list of that name."""
    return _save(session, root, part, None, table, _name(domain))


@register("dsave", rank=2, session=True)
def dsave(session: Interpreter, target: Value, tables: Value) -> Value:
    """Save tables into a directory or a partition, symbols enumerated, the first column parted."""
    parts = names_of(target)
    if parts is None:
        raise type_error("a directory, or a directory and a partition, needed")
    root = symbol(parts[0])
    for name in names_of(tables) or []:
        value = session.get(name)
        if not isinstance(value, Table):
            raise type_error(f"{name} is no table without keys")
        made = enumerated(session, file_of(session, root), value, SYM)
        assert isinstance(made, Table)
        first = with_attribute(made.columns[0], Attribute.PARTED)
        made = Table(made.names, (first, *made.columns[1:]))
        home = "/".join([*parts, name])
        write_table(path_of(session, home), made)
    return tables


@register(".Q.chk", rank=1, session=True)
def chk(session: Interpreter, root: Value) -> Value:
    """Give every partition an empty table where it lacks one."""
    home = file_of(session, root)
    parts = partitions_of(home)
    prototypes = {
        table.name: table for part in parts for table in sorted(part.iterdir()) if is_table(table)
    }
    filled = []
    for part in parts:
        lacking = [name for name in sorted(prototypes) if not is_table(part / name)]
        for name in lacking:
            table = read_table(session, prototypes[name])
            write_table(part / name, call(session, "#", long(0), table))
        filled.append(symbols([f":{part}"]) if lacking else List(()))
    return List(tuple(filled))


def partitions_of(home: Path) -> list[Path]:
    """List the partitions of a database, in its segments if it has some."""
    listing = home / PAR_FILE
    homes = [home]
    if listing.is_file():
        homes = [home / line.strip().removeprefix(":") for line in listing.read_text().split()]
    try:
        found = [path for each in homes for path in each.iterdir() if _is_partition(path)]
    except OSError as error:
        raise refused(home, error) from None
    return sorted(found, key=lambda path: path.name)


def _is_partition(path: Path) -> bool:
    return path.is_dir() and path.name.replace(".", "").isdigit()
