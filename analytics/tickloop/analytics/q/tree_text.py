"""Parse trees as a person writes them, as far as they are operators between names and values."""

from functools import cache

from tickloop.analytics.q.clause import constant, parts_of
from tickloop.analytics.q.registry import BUILTINS
from tickloop.analytics.q.spell import spell
from tickloop.analytics.q.values import Atom, Builtin, List, Value, name_of

_WIDTH = 40


def tree_text(tree: Value) -> str:
    """Spell a tree in one line, not all of a long one."""
    text = _text(tree).replace("\n", " ")
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."


@cache
def _words() -> dict[str, str]:
    """Give the keywords of built-ins that the console shows in k."""
    return {
        builtin.name: word
        for word, builtin in BUILTINS.items()
        if word.isalpha() and not builtin.name.isalpha()
    }


def _text(tree: Value) -> str:
    known = constant(tree)
    if known is not None:
        return spell(known)
    if isinstance(tree, Atom):
        return name_of(tree) or spell(tree)
    head, *rest = parts_of(tree)
    if not isinstance(head, Builtin) or not rest:
        return spell(tree)
    name, arguments = _words().get(head.name, head.name), [_text(item) for item in rest]
    if len(rest) != 2:
        return f"{name} {arguments[0]}" if len(rest) == 1 else f"{name}[{';'.join(arguments)}]"
    # q reads from right to left, so only what stands on the left needs brackets.
    is_compound = isinstance(rest[0], List) and len(rest[0]) > 1
    left = f"({arguments[0]})" if is_compound else arguments[0]
    return f"{left} {name} {arguments[1]}" if name.isalpha() else f"{left}{name}{arguments[1]}"
