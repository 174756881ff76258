"""What the language knows by name: verbs register themselves here as their modules are imported."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import numpy as np

from tickloop.analytics.q.values import Builtin, Value

F = TypeVar("F", bound=Callable[..., Value])

# By how text spells them: `+`, `count`, `aj`, `.Q.s`, and the k forms `#:`.
BUILTINS: dict[str, Builtin] = {}
# Names that always hold the same value, such as `.Q.a`; a session may write over them.
CONSTANTS: dict[str, Value] = {}


class Interpreter(Protocol):
    """What verbs may ask of the session that runs them."""

    rows: int
    columns: int
    precision: int
    random: np.random.Generator

    def apply(self, function: Value, arguments: Sequence[Value]) -> Value:
        """Apply a function, or index a list, dictionary or table."""
        ...

    def get(self, name: str) -> Value:
        """Read a global name; QError if there is none."""
        ...

    def set(self, name: str, value: Value) -> None:
        """Write a global name."""
        ...

    def forget(self, name: str) -> None:
        """Delete a global name; QError if there is none."""
        ...

    def evaluate_tree(self, tree: Value) -> Value:
        """Evaluate a parse tree."""
        ...

    def evaluate_text(self, text: str) -> Value:
        """Evaluate q text."""
        ...

    def write(self, text: str) -> None:
        """Print text on the session's console, as it is: ends of lines are the caller's."""
        ...


def register(
    *spellings: str,
    rank: int,
    shown: str = "",
    session: bool = False,
    operator: bool = False,
    atomic: bool = False,
    uniform: bool = False,
    aggregate: bool = False,
) -> Callable[[F], F]:
    """Register a function under its spellings for one number of arguments.

    `shown` is how the console prints it (`count` is `#:`); without it, the first spelling. A
    spelling registered again with another rank gets both. `operator` spellings stand between
    their arguments. With `session`, the interpreter is passed first.
    """

    def decorate(function: F) -> F:
        for spelling in spellings:
            known = BUILTINS.get(spelling)
            by_rank = dict(known.by_rank) if known is not None else {}
            assert rank not in by_rank, f"{spelling} of rank {rank} is registered twice"
            by_rank[rank] = _with_session(function, session)
            BUILTINS[spelling] = Builtin(
                known.name if known is not None else shown or spellings[0],
                by_rank,
                wants_session=True,
                is_operator=operator or (known is not None and known.is_operator),
                is_atomic=atomic or (known is not None and known.is_atomic),
                is_uniform=uniform or (known is not None and known.is_uniform),
                is_aggregate=aggregate or (known is not None and known.is_aggregate),
            )
        return function

    return decorate


def _with_session(function: Callable[..., Value], session: bool) -> Callable[..., Value]:
    if session:
        return function
    return lambda _, *arguments: function(*arguments)


def call(session: Interpreter, name: str, *arguments: Value) -> Value:
    """Call a built-in by its spelling, as one verb calls another."""
    return BUILTINS[name].by_rank[len(arguments)](session, *arguments)
