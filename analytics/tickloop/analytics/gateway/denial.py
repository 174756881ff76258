"""Verbs that a user may not call answer 'access, by whatever name or number they are reached."""

from collections.abc import Callable
from functools import cache
from typing import ClassVar

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.registry import BUILTINS
from tickloop.analytics.q.values import Builtin, Value

_RANKS = range(1, 9)
# One function under names that were registered apart.
_TWINS = (
    frozenset({"eval", "reval", "-6!"}),
    frozenset({"parse", "-5!"}),
    frozenset({"load", "rload", ".Q.l", ".Q.lo"}),
    frozenset({".Q.dpft", ".Q.hdpf"}),
    frozenset({"value", ".h.val"}),
    frozenset({"save", "rsave"}),
)


class _Denied:
    """What this process refuses now, and what stood in its place."""

    names: frozenset[str] = frozenset()
    known: ClassVar[dict[str, Builtin]] = {}


def deny(names: frozenset[str], named: frozenset[str] = frozenset()) -> None:
    """Let these built-ins answer 'access under each of their spellings, and no others any more.

    A process evaluates for one connection at a time, so what it knows by name can change. Of
    those that a person `named`, each has to exist: a slip of the pen must not allow anything.
    """
    if _Denied.names != names:
        BUILTINS.update(_Denied.known)
        _Denied.known = {name: BUILTINS[name] for name in _spellings(names)}
        _Denied.names = names
        BUILTINS.update({name: _refusing(name) for name in _Denied.known})
    unknown = sorted(name for name in named if name not in BUILTINS)
    if unknown:
        raise QError(
            "access",
            f"the rights of this user deny {unknown[0]}, which is no verb of the language;"
            " an administrator has to correct verbs_denied",
        )


@cache
def _spellings(names: frozenset[str]) -> frozenset[str]:
    """Give every spelling of these functions; `get` is `value`, and both are shown as `.:`."""
    wanted = {name for name in names if name in BUILTINS}
    for twins in _TWINS:
        if wanted & twins:
            wanted |= twins & BUILTINS.keys()
    shown = {BUILTINS[name].name for name in wanted}
    return frozenset(wanted | {name for name, found in BUILTINS.items() if found.name in shown})


@cache
def _refusing(name: str) -> Builtin:
    return Builtin(name, dict.fromkeys(_RANKS, _refusal(name)))


def _refusal(name: str) -> Callable[..., Value]:
    def refuse(*given: object) -> Value:
        raise QError("access", f"this user may not call {name}; an administrator gives rights")

    return refuse
