"""Names that are computed when they are read: `.z.p` and its kin."""

import os
import socket
from typing import TYPE_CHECKING

import numpy as np

from tickloop.analytics.q.names import keywords
from tickloop.analytics.q.values import (
    Atom,
    Attribute,
    Dictionary,
    List,
    QType,
    Value,
    Vector,
    chars,
    symbol,
    symbols,
)
from tickloop.core.clock import DAY_NS, WallClock

if TYPE_CHECKING:
    from tickloop.analytics.q.names import Computed
    from tickloop.analytics.q.session import Session

_CLOCK = WallClock()


def now() -> int:
    """Read the clock: nanoseconds since 2000."""
    return _CLOCK.now()


def _times(kind: str) -> "Computed":
    def computed() -> Value:
        instant = now()
        day, rest = divmod(instant, DAY_NS)
        return {
            "p": Atom(QType.TIMESTAMP, instant),
            "d": Atom(QType.DATE, day),
            "n": Atom(QType.TIMESPAN, rest),
            "t": Atom(QType.TIME, rest // 1_000_000),
            "z": Atom(QType.DATETIME, instant / DAY_NS),
        }[kind]

    return computed


def _fixed(value: Value) -> "Computed":
    return lambda: value


def computed_names(session: "Session") -> "dict[str, Computed]":
    """Give the computed names of a session."""
    names: dict[str, Computed] = {}
    for kind in "pdntz":
        names[f".z.{kind}"] = names[f".z.{kind.upper()}"] = _times(kind)
    names[".q"] = keywords
    names[".z.a"] = _fixed(Atom(QType.INT, 0x7F000001))
    names[".z.f"] = _fixed(symbol(""))
    names[".z.h"] = lambda: symbol(socket.gethostname())
    names[".z.i"] = lambda: Atom(QType.INT, os.getpid())
    names[".Q.k"] = _fixed(Atom(QType.FLOAT, 4.1))
    names[".Q.K"] = _fixed(Atom(QType.DATE, 8797))
    names[".z.K"] = _fixed(Atom(QType.FLOAT, 4.1))
    names[".z.k"] = _fixed(Atom(QType.DATE, 8797))
    names[".z.o"] = _fixed(symbol("l64"))
    names[".z.q"] = _fixed(Atom(QType.BOOLEAN, False))
    names[".z.u"] = lambda: symbol(os.environ.get("USER", ""))
    names[".z.b"] = lambda: dependants(session)
    names[".z.H"] = _fixed(Vector(QType.INT, np.zeros(0, dtype=np.int32), Attribute.SORTED))
    names[".z.w"] = _fixed(Atom(QType.INT, 0))
    names[".z.x"] = _fixed(List(()))
    names[".z.X"] = _fixed(List((chars("q"),)))
    names[".z.c"] = lambda: Atom(QType.INT, os.cpu_count() or 1)
    names[".z.W"] = _fixed(Dictionary(_no_handles(), List(())))
    names[".z.l"] = _fixed(List(()))
    names[".z.e"] = _fixed(Dictionary(symbols([]), List(())))
    return names


def dependants(session: "Session") -> Value:
    """Map each variable to the views that depend on it."""
    found: dict[str, list[str]] = {}
    for name, view in session.names.views.items():
        for used in view.depends:
            found.setdefault(used, []).append(name)
    return Dictionary(symbols(found), List(tuple([symbols(views) for views in found.values()])))


def _no_handles() -> Value:
    return Vector(QType.INT, np.zeros(0, dtype=np.int32))
