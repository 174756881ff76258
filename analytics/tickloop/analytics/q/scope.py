"""What a piece of text can see while it is compiled: its session, its locals, its namespace."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tickloop.analytics.q.pattern_syntax import pattern_parts
from tickloop.analytics.q.syntax import (
    Assign,
    Block,
    Constant,
    Control,
    Function,
    Name,
    Node,
    Template,
)

if TYPE_CHECKING:
    from tickloop.analytics.q.session import Session


@dataclass(frozen=True, slots=True)
class Scope:
    """Names of locals lead to their slots in the frame; outside of functions there are none."""

    session: "Session"
    namespace: str
    slots: dict[str, int] = field(default_factory=dict)
    is_function: bool = False
    text: str = ""
    owner: str = ""  # the name that the function around is assigned to

    def global_name(self, name: str) -> str:
        """Give the full name of a global."""
        return qualified(name, self.namespace)


def qualified(name: str, namespace: str) -> str:
    """Give a name's full form in a namespace; a leading dot says that it is full."""
    if not namespace or name.startswith("."):
        return name
    return f"{namespace}.{name}"


def assigned_names(node: object) -> set[str]:
    """List the names that a function's body makes local by assigning to them."""
    if node is None or isinstance(node, Function | Constant | Name):
        return set()
    found: set[str] = set()
    if isinstance(node, Assign):
        # Only a:v makes a local: a+:v and a[i]:v change what the name holds already.
        if not node.is_global and node.verb is None:
            found |= pattern_names(node.target)
        found |= assigned_names(node.value)
        return found | (set() if isinstance(node.target, Name) else assigned_names(node.target))
    if isinstance(node, Control) and node.word == ":":
        # :[value;pattern;result;...] assigns what its patterns name.
        found = {name for part in node.arguments[1:-1:2] for name in pattern_names(part)}
        return found | assigned_names(node.arguments)
    if isinstance(node, tuple):
        for item in node:
            found |= assigned_names(item)
        return found
    if isinstance(node, Template):
        return assigned_names(node.table)
    if hasattr(node, "__dataclass_fields__"):
        for part in node.__dataclass_fields__:
            found |= assigned_names(getattr(node, part))
    return found


def pattern_names(node: Node | None) -> set[str]:
    """List the names that an assignment to a place or a pattern gives values to."""
    if isinstance(node, Name):
        return set() if node.name.startswith(".") or "." in node.name else {node.name}
    if isinstance(node, Block) and len(node.statements) == 1:
        return pattern_names(node.statements[0])
    return {name for part in pattern_parts(node) for name in pattern_names(part)}
