"""A question's rows piece by piece: of a partitioned table, only what one piece needs is read.

Where a row of the answer depends on its own row alone, pieces of a partition are asked one after
another. Any other question is answered whole, and its rows are given piece by piece.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tickloop.analytics.q.clause import constant, names_in, parts_of, spelled
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.parser import parse
from tickloop.analytics.q.partition_queries import kept_places
from tickloop.analytics.q.partitioned import PartitionedTable, Partitions, Slab, SlabTable
from tickloop.analytics.q.registry import BUILTINS, call
from tickloop.analytics.q.rows import join, take
from tickloop.analytics.q.scope import Scope
from tickloop.analytics.q.session import Session
from tickloop.analytics.q.syntax import Function, Name, Template
from tickloop.analytics.q.table_rows import flat
from tickloop.analytics.q.templates import phrases_of
from tickloop.analytics.q.trees import quoted
from tickloop.analytics.q.values import (
    Atom,
    Attribute,
    Builtin,
    Dictionary,
    List,
    QType,
    Table,
    Value,
    boolean,
    count_of,
    is_atom,
    is_keyed_table,
    is_list,
    items_of,
)

# Their right side is a set or a pattern, not a row of its own.
_WITH_WHOLE_RIGHT = frozenset({"in", "within", "like"})


def blocks(session: Session, text: str, arguments: Sequence[Value], rows: int) -> Iterator[Value]:
    """Answer text, applied to arguments if there are any, in blocks of at most `rows` rows.

    There is one block at least. 'type where the answer has no rows.
    """
    if rows < 1:
        raise QError("length", f"{rows} rows a block seen, one at least expected")
    plan = _planned(session, text, arguments)
    if plan is not None:
        return _joined(plan.pieces(session, rows), rows)
    value = session.eval(text)
    return _cut(session.apply(value, arguments) if arguments else value, rows)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A select whose rows depend on nothing but themselves."""

    table: PartitionedTable
    partitions: Partitions
    where: Value
    columns: Value

    def pieces(self, session: Session, rows: int) -> Iterator[Table]:
        """Ask the partitions that the filters leave, a piece of each after another."""
        where = tuple(items_of(self.where))
        places, _ = kept_places(session, self.partitions, where)
        yield self._asked(session, _Piece(self.partitions.sample(), 0, 0, 0))
        for place in places:
            table, key = self.partitions.table(place), self.partitions.slabs[place].key
            whole = _Piece(table, key, 0, len(table))
            if self._is_little(session, whole, rows):
                yield self._asked(session, whole)
                continue
            for start in range(0, len(table), rows):
                yield self._asked(session, _Piece(table, key, start, min(start + rows, len(table))))

    def _is_little(self, session: Session, piece: "_Piece", rows: int) -> bool:
        """Tell whether few rows pass filters that an index answers."""
        if piece.rows <= rows:
            return True
        first = names_in(self.where) - {self.partitions.field}
        if not any(
            piece.column(name).attribute is Attribute.PARTED  # type: ignore[union-attr]
            for name in first & set(self.partitions.names)
        ):
            return False
        counted = call(
            session, "?", self._of(piece), self.where, List(()), List((BUILTINS["count"], _ROW))
        )
        return isinstance(counted, Atom) and int(counted.value) <= rows

    def _asked(self, session: Session, piece: "_Piece") -> Table:
        found = call(session, "?", self._of(piece), self.where, boolean(False), self.columns)
        assert isinstance(found, Table)
        return found

    def _of(self, piece: Slab) -> PartitionedTable:
        partitions = Partitions(self.partitions.kind, self.partitions.names, [piece], piece)
        return PartitionedTable(self.partitions.field, self.table.names, lambda _: partitions)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some rows of a slab."""

    table: SlabTable
    key: int
    start: int
    stop: int

    @property
    def rows(self) -> int:
        """How many rows the piece has."""
        return self.stop - self.start

    def column(self, name: str) -> Value:
        """Give a column's rows, mapped."""
        column = self.table.column(name)
        return (
            column if self.rows == len(self.table) else take(column, slice(self.start, self.stop))
        )


_ROW = Atom(QType.SYMBOL, "i")


def _planned(session: Session, text: str, arguments: Sequence[Value]) -> _Plan | None:
    """Read text as a select from a partitioned table, row by row; None for all else."""
    block = parse(text)
    node = block.statements[0] if len(block.statements) == 1 else None
    names: dict[str, Value] = {}
    if isinstance(node, Function):
        if len(node.parameters) != len(arguments) or not arguments:
            return None
        names = dict(zip(node.parameters, arguments, strict=True))
        statements = node.statements
        node = statements[0] if len(statements) == 1 else None
    elif arguments:
        return None
    if not isinstance(node, Template) or not _is_plain(node) or not isinstance(node.table, Name):
        return None
    if node.table.name in names:
        return None
    table = session.find(node.table.name)
    return _plan_of(session, node, table, names) if isinstance(table, PartitionedTable) else None


def _is_plain(node: Template) -> bool:
    is_select = node.verb == "select" and node.by is None and not node.is_distinct
    return is_select and node.limit is None and node.order is None


def _plan_of(
    session: Session, node: Template, table: PartitionedTable, names: dict[str, Value]
) -> _Plan | None:
    columns = set(table.names)

    def resolve(name: str) -> Value | None:
        if name in columns or name.partition(".")[0] in columns or name == "i":
            return None
        return quoted(names[name]) if name in names else None

    scope = Scope(session, session.namespace)
    where, _, wanted = phrases_of(node, scope, resolve)
    trees = items_of(wanted.values) if isinstance(wanted, Dictionary) else ()
    if not all(_by_row(session, tree, columns) for tree in (*items_of(where), *trees)):
        return None
    if not all(names_in(tree) & columns for tree in trees):
        return None
    return _Plan(table, table.partitions, where, wanted)


def _by_row(session: Session, tree: Value, columns: set[str]) -> bool:
    """Tell whether a tree's value in a row depends on that row alone."""
    known = constant(tree)
    if known is not None:
        return is_atom(known)
    if isinstance(tree, Atom):
        name = str(tree.value)
        if name in columns or name.partition(".")[0] in columns:
            return True
        value = None if name == "i" else session.find(name)
        return value is not None and is_atom(value)
    head, *arguments = parts_of(tree)
    if not isinstance(head, Builtin):
        return False
    if spelled(head) in _WITH_WHOLE_RIGHT and len(arguments) == 2:
        is_set = not names_in(arguments[1]) & (columns | {"i"})
        return is_set and _by_row(session, arguments[0], columns)
    return head.is_atomic and all(_by_row(session, part, columns) for part in arguments)


def _joined(pieces: Iterator[Table], rows: int) -> Iterator[Table]:
    """Put small pieces together to blocks of at most `rows` rows; the first piece is empty."""
    empty = next(pieces)
    waiting: list[Table] = []
    count = given = 0
    for piece in pieces:
        if waiting and count + len(piece) > rows:
            yield _one(waiting)
            given, waiting, count = given + 1, [], 0
        if len(piece):
            waiting.append(piece)
            count += len(piece)
    if waiting or not given:
        yield _one(waiting or [empty])


def _one(tables: list[Table]) -> Table:
    found = join(tables)
    assert isinstance(found, Table)
    return found


def _cut(value: Value, rows: int) -> Iterator[Value]:
    """Cut an answer that is there as a whole."""
    if isinstance(value, Table) or is_keyed_table(value):
        value = flat(value)
    elif not is_list(value):
        raise QError("type", "a table or a list expected, of which there can be pieces")
    for start in range(0, max(count_of(value), 1), rows):
        yield take(value, slice(start, min(start + rows, count_of(value))))
