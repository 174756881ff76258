"""The variables of a session: a flat table of full names, read as namespaces on demand."""

from collections.abc import Callable, Iterator

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.registry import BUILTINS, CONSTANTS
from tickloop.analytics.q.values import NIL, Dictionary, List, Table, Value, names_of, symbols
from tickloop.analytics.q.views import View
from tickloop.analytics.q.words import RESERVED

# The language's own namespaces; .z is not among them.
_OWN_SPACES = ("q", "Q", "h", "j", "o")
_FIRST_WORDS = (
    "neg", "not", "null", "string", "reciprocal", "floor", "ceiling", "signum", "mod", "xbar",
    "xlog", "and", "or", "each", "scan", "over", "prior", "mmu", "lsq", "inv", "md5", "ltime",
    "gtime", "count", "first", "last", "sum", "prd", "min", "max", "all", "any", "avg",
)  # fmt: skip
Computed = Callable[[], Value]


class Names:
    """Full names (`a`, `.ns.a`) to values; views and computed names stand beside them."""

    def __init__(self) -> None:
        self.plain: dict[str, Value] = {}
        self.views: dict[str, View] = {}
        self.computed: dict[str, Computed] = {}

    def find(self, name: str) -> Value | None:
        """Give the value of a full name, a namespace as a dictionary; None if there is none."""
        found = self.plain.get(name)
        if found is not None:
            return found
        if name in self.computed:
            return self.computed[name]()
        if name in CONSTANTS:
            return CONSTANTS[name]
        if name == ".":
            return self._root()
        if name.startswith(".") and (space := self._namespace(name)) is not None:
            return space
        return None

    def _root(self) -> Value:
        mine = {name: value for name, value in self.plain.items() if not name.startswith(".")}
        for name, view in self.views.items():
            mine[name] = view.shape()
        return _dictionary(mine)

    def _namespace(self, name: str) -> Value | None:
        prefix = name + "."
        inner: dict[str, Value] = {}
        for full in list(self.plain):
            if full.startswith(prefix):
                first, _, deeper = full.removeprefix(prefix).partition(".")
                if deeper:
                    space = self._namespace(prefix + first)
                    assert space is not None
                    inner[first] = space
                else:
                    inner[first] = self.plain[full]
        for full, given in (*BUILTINS.items(), *CONSTANTS.items()):
            if full.startswith(prefix) and full.count(".") == prefix.count("."):
                inner.setdefault(full.removeprefix(prefix), given)
        return _dictionary({"": NIL, **inner}) if inner else None

    def set(self, name: str, value: Value) -> None:
        """Write a full name; a dictionary written to a namespace replaces its names."""
        if name in RESERVED:
            raise QError("assign", f"{name} is a word of the language")
        if name in self.computed and name.startswith(".z."):
            raise QError("assign", f"{name} is computed; it cannot be set")
        if self.views:
            self.views.pop(name, None)
        if name.startswith(".") and isinstance(value, Dictionary) and self._is_space(name, value):
            self._set_namespace(name, value)
            return
        self.plain[name] = value

    def _is_space(self, name: str, value: Dictionary) -> bool:
        keys = None if isinstance(value.keys, Table) else names_of(value.keys)
        return name.count(".") == 1 and bool(keys) and keys is not None and keys[0] == ""

    def _set_namespace(self, name: str, value: Dictionary) -> None:
        from tickloop.analytics.q.values import items_of

        self.delete_namespace(name)
        for key, item in zip(names_of(value.keys) or [], items_of(value.values), strict=True):
            if key:
                self.set(f"{name}.{key}", item)

    def delete(self, name: str) -> None:
        """Forget a full name; QError if there is none."""
        if self.views.pop(name, None) is None and self.plain.pop(name, None) is None:
            raise QError(name, "no such variable")

    def delete_namespace(self, name: str) -> None:
        """Forget everything in a namespace."""
        for full in [full for full in self.plain if full.startswith(name + ".")]:
            del self.plain[full]

    def within(self, namespace: str) -> Iterator[tuple[str, Value]]:
        """List a namespace's own names, sorted, with their values."""
        prefix = f"{namespace}." if namespace else ""
        known = self.plain if not prefix else {**BUILTINS, **CONSTANTS, **self.plain}
        for full in sorted(known):
            rest = full.removeprefix(prefix)
            if full.startswith(prefix) and "." not in rest:
                yield rest, known[full]

    def namespaces(self) -> list[str]:
        """List the namespaces below the root."""
        mine = [full[1:].partition(".")[0] for full in self.plain if full[0] == "."]
        mine = [name for name in mine if name != "z"]
        return list(dict.fromkeys([*_OWN_SPACES, *mine]))


def keywords() -> Dictionary:
    """Give the words of the language as a namespace."""
    words = [word for word in (*_FIRST_WORDS, *sorted(RESERVED)) if word in BUILTINS]
    return _dictionary({"": NIL, **{word: BUILTINS[word] for word in words}})


def _dictionary(values: dict[str, Value]) -> Dictionary:
    return Dictionary(symbols(values), List(tuple(values.values())))
