"""Numbers of built-in functions on the wire: types 101 (unary), 102 (binary), 103 (iterators)."""

from collections.abc import Mapping

from tickloop.analytics.q.registry import BUILTINS
from tickloop.analytics.q.values import Builtin

ITERATORS = ("'", "/", "\\", "':", "/:", "\\:")
# An argument that a projection leaves open travels as type 101 with this number.
OPEN = 0xFF

# What a unary is called here: its keyword where it has one, else the way the console shows it.
UNARY = (
    "::", "flip", "neg", "first", "reciprocal", "where", "reverse", "null", "group", "iasc",
    "idesc", "string", "enlist", "count", "floor", "not", "key", "distinct", "type", "value",
    "read0", "read1", "2::", "avg", "last", "sum", "prd", "min", "max", "exit", "getenv", "abs",
    "sqrt", "log", "exp", "sin", "asin", "cos", "acos", "tan", "atan", "enlist", "var", "dev",
    "hopen",
)  # fmt: skip
BINARY = (
    ":", "+", "-", "*", "%", "&", "|", "^", "=", "<", ">", "$", ",", "#", "_", "~", "!", "?",
    "@", ".", "0:", "1:", "2:", "in", "within", "like", "bin", "ss", "insert", "wsum", "wavg",
    "div", "xexp", "setenv", "binr", "cov", "cor",
)  # fmt: skip
# Unaries whose k form the console shows: `#:` for count.
_K_FORMS: Mapping[str, str] = {
    "flip": "+:", "neg": "-:", "first": "*:", "reciprocal": "%:", "where": "&:", "reverse": "|:",
    "null": "^:", "group": "=:", "iasc": "<:", "idesc": ">:", "string": "$:", "enlist": ",:",
    "count": "#:", "floor": "_:", "not": "~:", "key": "!:", "distinct": "?:", "type": "@:",
    "value": ".:", "read0": "0::", "read1": "1::",
}  # fmt: skip
_UNARY_CODES = {
    spelling: code
    for code, name in reversed(list(enumerate(UNARY)))
    for spelling in (name, _K_FORMS.get(name, name))
}
_BINARY_CODES = {name: code for code, name in enumerate(BINARY)}


def number_of(function: Builtin) -> tuple[int, int] | None:
    """Give a built-in's type and number, or None if the wire has none for it."""
    if function.is_operator and function.name in _BINARY_CODES:
        return 102, _BINARY_CODES[function.name]
    if function.name in _UNARY_CODES:
        return 101, _UNARY_CODES[function.name]
    return (102, _BINARY_CODES[function.name]) if function.name in _BINARY_CODES else None


def builtin_of(kind: int, code: int) -> Builtin | None:
    """Find the built-in of a type and number, or None."""
    names = UNARY if kind == 101 else BINARY
    if code >= len(names):
        return None
    name = names[code]
    return BUILTINS.get(_K_FORMS.get(name, name)) or BUILTINS.get(name)


def spelling_of(function: Builtin) -> str:
    """Give q text that stands for a built-in that has no number on the wire."""
    arguments = ";".join("xyzabcdefgh"[: max(function.by_rank)])
    rank = min(function.by_rank)
    if rank == 1:
        return f"{{{_keyword(function)} x}}"
    return f"{{[{arguments}]{_keyword(function)}[{arguments}]}}"


def _keyword(function: Builtin) -> str:
    """Find a name that text can use: the shown one may be a k form."""
    for spelling, found in BUILTINS.items():
        if found is function and spelling[0].isalpha():
            return spelling
    return function.name
