"""Views: `a::expression` is computed when it is read and what it depends on has changed."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.lambdas import Code
from tickloop.analytics.q.values import NIL, Projection, Value, chars, symbols

if TYPE_CHECKING:
    from tickloop.analytics.q.session import Session


@dataclass(slots=True)
class View:
    """An expression that looks like a variable; `seen` is what its names were when it ran."""

    session: "Session"
    source: str
    tree: Value
    depends: tuple[str, ...]
    code: Code
    value: Value | None = None
    seen: list[Value | None] = field(default_factory=list)
    running: bool = False

    def get(self) -> Value:
        """Give the value, computed anew if a name it depends on was assigned."""
        if self.running:
            raise QError("loop", "a view depends on itself")
        self.running = True
        try:
            now = [self.session.find(name) for name in self.depends]
            if self.value is None or any(
                old is not new for old, new in zip(self.seen, now, strict=True)
            ):
                self.value = self.code([])
                self.seen = now
            return self.value
        finally:
            self.running = False

    @property
    def is_pending(self) -> bool:
        """Tell whether the next read computes it anew, as far as names that are set tell."""
        find = self.session.names.find
        return self.value is None or any(
            old is not find(name)
            for old, name in zip(self.seen, self.depends, strict=True)
            if name not in self.session.names.views
        )

    def shape(self) -> Value:
        """Give what `value` shows of a view: its value if known, tree, names and text."""
        names = symbols(self.depends)
        known = NIL if self.value is None else self.value
        return Projection(known, (self.tree, names, chars(self.source)))
