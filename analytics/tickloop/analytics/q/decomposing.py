"""Aggregates in two steps: of each part of the rows, and of the parts' results."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tickloop.analytics.q.clause import constant, parts_of, spelled
from tickloop.analytics.q.registry import BUILTINS
from tickloop.analytics.q.values import Atom, Builtin, List, Value, long, symbol

# The same function again makes the whole of the parts.
_SAME = {"max": "max", "min": "min", "first": "first", "last": "last", "all": "all", "any": "any",
         "prd": "prd", "sum": "sum", "count": "sum", "wsum": "sum"}  # fmt: skip


@dataclass
class Parts:
    """Trees of the first step by the names of their results."""

    trees: dict[str, Value] = field(default_factory=dict)
    _known: list[tuple[Value, Value]] = field(default_factory=list)

    def add(self, tree: Value) -> Value:
        """Add a tree; give the name of its result, the same one for the same tree."""
        for known, name in self._known:
            if same_tree(known, tree):
                return name
        name = symbol(f"p{len(self.trees)}_")
        self.trees[str(name.value)] = tree
        self._known.append((tree, name))
        return name


def same_tree(left: Value, right: Value) -> bool:
    """Tell whether two trees are alike in names, functions and atoms."""
    if isinstance(left, List) and isinstance(right, List):
        pairs = zip(left.items, right.items, strict=False)
        return len(left) == len(right) and all(same_tree(one, other) for one, other in pairs)
    if isinstance(left, Builtin) and isinstance(right, Builtin):
        return left.by_rank is right.by_rank or left is right
    return left is right or (isinstance(left, Atom) and left == right)


def apply_(name: str, *arguments: Value) -> List:
    """Make the tree of a built-in with its arguments."""
    return List((BUILTINS[name], *arguments))


def decomposed(tree: Value, parts: Parts) -> Value | None:
    """Rewrite a tree over rows as one over the parts' results; None if that is not possible."""
    if constant(tree) is not None:
        return tree
    if isinstance(tree, Atom):
        return None
    items = parts_of(tree)
    head = items[0]
    if isinstance(head, Builtin):
        made = _aggregate(head, items[1:], parts)
        if made is not None:
            return made
    if not isinstance(head, Builtin) or not (head.is_atomic or spelled(head) in _ROW_BY_ROW):
        return None
    rewritten = [decomposed(item, parts) for item in items[1:]]
    known = [item for item in rewritten if item is not None]
    return List((head, *known)) if len(known) == len(rewritten) else None


def _aggregate(head: Builtin, arguments: Sequence[Value], parts: Parts) -> Value | None:
    name = spelled(head)
    if any(_holds_aggregate(argument) for argument in arguments):
        return None
    if name in _SAME and len(arguments) == (2 if name == "wsum" else 1):
        return apply_(_SAME[name], parts.add(List((head, *arguments))))
    rule = _RULES.get((name, len(arguments)))
    return None if rule is None else rule(parts, *arguments)


def _holds_aggregate(tree: Value) -> bool:
    """Tell whether a tree's value in a row depends on other rows."""
    if constant(tree) is not None or isinstance(tree, Atom):
        return False
    head, *rest = parts_of(tree)
    if not isinstance(head, Builtin) or not (head.is_atomic or spelled(head) in _ROW_BY_ROW):
        return True
    return any(_holds_aggregate(item) for item in rest)


_ROW_BY_ROW = frozenset({"in", "within", "like", "$", "xbar", "null", "not"})


def _known(tree: Value) -> Value:
    """Count what is not null."""
    return apply_("sum", apply_("not", apply_("null", tree)))


def _avg(parts: Parts, tree: Value) -> Value:
    weights = parts.add(_known(tree))
    return apply_("wavg", weights, parts.add(apply_("avg", tree)))


def _wavg(parts: Parts, weights: Value, tree: Value) -> Value:
    known = apply_("not", apply_("null", tree))
    total = parts.add(apply_("sum", apply_("*", weights, known)))
    return apply_("wavg", total, parts.add(apply_("wavg", weights, tree)))


def _var(parts: Parts, tree: Value) -> Value:
    """Put variances together: the mean of the parts' variances and that of their means' squares."""
    counts = parts.add(_known(tree))
    means = parts.add(apply_("avg", tree))
    variances = parts.add(apply_("var", tree))
    deviations = apply_("-", means, apply_("wavg", counts, means))
    squares = apply_("*", deviations, deviations)
    return apply_("wavg", counts, apply_("+", variances, squares))


def _svar(parts: Parts, tree: Value) -> Value:
    counts = apply_("sum", parts.add(_known(tree)))
    scale = apply_("%", counts, apply_("-", counts, long(1)))
    return apply_("*", scale, _var(parts, tree))


def _rooted(rule: Callable[..., Value]) -> Callable[..., Value]:
    return lambda parts, tree: apply_("sqrt", rule(parts, tree))


_RULES: dict[tuple[str, int], Callable[..., Value]] = {
    ("avg", 1): _avg,
    ("wavg", 2): _wavg,
    ("var", 1): _var,
    ("svar", 1): _svar,
    ("dev", 1): _rooted(_var),
    ("sdev", 1): _rooted(_svar),
}
