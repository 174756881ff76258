"""The syntax tree: what q text says, with the place of every part."""

from dataclasses import dataclass
from typing import TypeAlias

from tickloop.analytics.q.values import Value


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal value."""

    value: Value
    position: int


@dataclass(frozen=True, slots=True)
class Name:
    """A variable."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Verb:
    """A built-in by its spelling: an operator, or a reserved word."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Iterator:
    """An iterator that stands alone."""

    iterator: str
    position: int


@dataclass(frozen=True, slots=True)
class Derived:
    """A value with an iterator."""

    iterator: str
    function: "Node"
    position: int


@dataclass(frozen=True, slots=True)
class Apply:
    """A function or list with its arguments; None is an argument that was left out.

    `style` is how it was written: `prefix` f x, `infix` x f y, `bracket` f[x;y].
    """

    function: "Node"
    arguments: tuple["Node | None", ...]
    style: str
    position: int


@dataclass(frozen=True, slots=True)
class Train:
    """Functions without their last argument (`2*`, `sum@`): a projection or a composition."""

    functions: tuple["Node", ...]
    position: int


@dataclass(frozen=True, slots=True)
class Assign:
    """target:value, target+:value, target::value; the target may be indexed or a pattern."""

    target: "Node"
    verb: "Verb | None"
    value: "Node"
    is_global: bool
    position: int


@dataclass(frozen=True, slots=True)
class Return:
    """`:value` leaves the function."""

    value: "Node"
    position: int


@dataclass(frozen=True, slots=True)
class Signal:
    """`'value` signals an error."""

    value: "Node"
    position: int


@dataclass(frozen=True, slots=True)
class Block:
    """Statements; the value of the last is the block's. None is an empty statement."""

    statements: tuple["Node | None", ...]
    position: int


@dataclass(frozen=True, slots=True)
class Control:
    """`$` with three or more arguments, `if`, `do`, `while`."""

    word: str
    arguments: tuple["Node | None", ...]
    position: int


@dataclass(frozen=True, slots=True)
class ListOf:
    """(a;b;c); None is an item that was left out."""

    items: tuple["Node | None", ...]
    position: int


Columns: TypeAlias = tuple[tuple[str, "Node"], ...]


@dataclass(frozen=True, slots=True)
class TableOf:
    """([keys] columns); without columns, a dictionary."""

    keys: Columns
    columns: Columns | None
    position: int


@dataclass(frozen=True, slots=True)
class Function:
    """A lambda. Patterns stand for parameters that are taken apart."""

    source: str
    parameters: tuple[str, ...]
    statements: tuple["Node | None", ...]
    patterns: tuple[tuple[str, "Node"], ...]
    position: int


@dataclass(frozen=True, slots=True)
class Template:
    """select, exec, update or delete. `limit` and `order` are what stands in select[...]."""

    verb: str
    columns: Columns | None
    by: Columns | None
    is_unnamed: bool  # exec of one expression that has no name of its own
    is_by_unnamed: bool
    table: "Node"
    where: tuple["Node", ...]
    limit: "Node | None"
    order: "tuple[str, Node] | None"
    is_distinct: bool
    position: int


Node: TypeAlias = (
    Constant
    | Name
    | Verb
    | Iterator
    | Derived
    | Apply
    | Train
    | Assign
    | Return
    | Signal
    | Block
    | Control
    | ListOf
    | TableOf
    | Function
    | Template
)
