"""Running functions written in q: frames of locals, return, how deep calls may go."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from tickloop.analytics.q.depth import CALLS_MAX
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.ranks import has_missing
from tickloop.analytics.q.values import NIL, Lambda, List, Projection, Value

if TYPE_CHECKING:
    from tickloop.analytics.q.session import Session

# The values of a call's locals, by slot.
Frame: TypeAlias = list[Value]
Code: TypeAlias = Callable[[Frame], Value]

SELF = ".z.s"  # the function that runs, inside of it
FRAMES_MAX = 20  # of the calls that an error tells of
EMPTY = List(())


class ReturnSignal(Exception):  # noqa: N818 - no error: a value on its way out of a function
    """`:value` somewhere inside of a function."""

    def __init__(self, value: Value) -> None:
        super().__init__()
        self.value = value


@dataclass(frozen=True, slots=True)
class Body:
    """A function ready to run in one session; `start` is where its text began."""

    session: "Session"
    statements: tuple[Code, ...]
    result: Code | None
    locals_beyond: int
    start: int
    self_slot: int | None


def apply_lambda(session: "Session", function: Lambda, arguments: Sequence[Value]) -> Value:
    """Call a lambda; too few arguments make a projection."""
    rank = len(function.parameters)
    count = len(arguments)
    if count != rank and not (rank == 0 and count == 1):
        if count > max(rank, 1):
            raise QError("rank", f"a function of {rank} arguments is given {count}")
        return Projection(function, tuple(arguments))
    if has_missing(arguments):
        return Projection(function, tuple(arguments))
    body = function.body
    if not isinstance(body, Body) or body.session is not session:
        body = session.body_of(function)
    frame = [*arguments[:rank], *([EMPTY] * body.locals_beyond)]
    if body.self_slot is not None:
        frame[body.self_slot] = function
    return _run(session, function, body, frame)


def _run(session: "Session", function: Lambda, body: Body, frame: Frame) -> Value:
    if session.calls >= CALLS_MAX:
        raise QError("stack", f"functions call each other {CALLS_MAX} deep at most")
    if session.interrupted:
        raise interruption()
    session.calls += 1
    try:
        for statement in body.statements:
            statement(frame)
        return NIL if body.result is None else body.result(frame)
    except ReturnSignal as returned:
        return returned.value
    except QError as error:
        _leave(error, function, body)
        raise
    finally:
        session.calls -= 1


# Backtraces look for the calls that run now.
RUN_CODE = _run.__code__


def interruption() -> QError:
    """Make the error of a query that was told to stop."""
    return QError("stop", "the query was interrupted")


def _leave(error: QError, function: Lambda, body: Body) -> None:
    """Note the function in the error: from here on, positions are those of its caller."""
    if not error.is_signal and len(error.frames) < FRAMES_MAX:
        place = None if error.position is None else error.position - body.start
        label = function.label
        error.frames.append(
            (label + function.source, None if place is None else place + len(label))
        )
    error.is_signal = False
    error.position = None
