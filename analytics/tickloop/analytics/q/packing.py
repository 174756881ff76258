"""Compressed files: what set is told, what .z.zd sets for all, and what -21! tells of a file."""

from collections.abc import Mapping

from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.file_paths import file_of
from tickloop.analytics.q.kinds import whole_atom
from tickloop.analytics.q.object_files import opened
from tickloop.analytics.q.registry import Interpreter, register
from tickloop.analytics.q.splayed_files import PackingOf
from tickloop.analytics.q.values import (
    Atom,
    Dictionary,
    List,
    QType,
    Value,
    collect,
    items_of,
    long,
    name_of,
    names_of,
    symbols,
)
from tickloop.tickerplant.kdb_zip import Packing

_PARTS = 3  # block size, algorithm, level


def usual_packing(session: Interpreter) -> PackingOf:
    """Give what .z.zd says of files by their names; those with a suffix stay as they are."""
    try:
        default = session.get(".z.zd")
    except QError:
        return lambda _: None
    known = packing_by_name(default) if isinstance(default, Dictionary) else packing_of(default)
    if isinstance(known, Packing):
        return lambda file: None if "." in file else known
    return lambda file: None if "." in file else known.get(file, known.get(""))


def packing_of(value: Value) -> Packing:
    """Read block size, algorithm and level."""
    numbers = [whole_atom(item) for item in items_of(value)] if not _is_atom(value) else []
    if len(numbers) != _PARTS or None in numbers:
        raise type_error("block size, algorithm and level needed, as in (`:file;17;2;6) set x")
    bits, algorithm, level = (number or 0 for number in numbers)
    return Packing(bits, algorithm, level)


def _is_atom(value: Value) -> bool:
    return isinstance(value, Atom)


def packing_by_name(value: Dictionary) -> Mapping[str, Packing]:
    """Read what a dictionary says of each column; the empty name stands for the others."""
    names = names_of(value.keys)
    if names is None:
        raise type_error("columns' names to block size, algorithm and level needed")
    return dict(zip(names, map(packing_of, items_of(value.values)), strict=True))


def target_of(left: Value) -> tuple[str, PackingOf]:
    """Take (file;17;2;6) or (directory;dictionary) apart into a file symbol and its packing."""
    items = items_of(left) if isinstance(left, List) else []
    name = name_of(items[0]) if items else None
    if name is None or not name.startswith(":"):
        raise type_error("a name, or (file;block size;algorithm;level), needed on the left of set")
    if len(items) == 2 and isinstance(items[1], Dictionary):
        by_name = packing_by_name(items[1])
        return name, lambda file: by_name.get(file, by_name.get(""))
    packing = packing_of(collect(items[1:]))
    return name, lambda _: packing


@register("-21!", rank=1, session=True)
def statistics(session: Interpreter, file: Value) -> Value:
    """Tell how a file is compressed: nothing of one that is not.

    The level is not kept in the file, so it is not told.
    """
    source = opened(file_of(session, file)).packed
    if source is None:
        return Dictionary(List(()), List(()))
    told = {
        "compressedLength": long(len(source.raw)),
        "uncompressedLength": long(source.plain_bytes),
        "algorithm": Atom(QType.INT, source.algorithm),
        "logicalBlockSize": Atom(QType.INT, source.block_bytes.bit_length() - 1),
    }
    return Dictionary(symbols(told), List(tuple(told.values())))
