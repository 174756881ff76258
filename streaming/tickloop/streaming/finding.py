"""Operators by name: those that come with Tickloop, installed ones, and files of one's own."""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from tickloop.core.errors import OperatorError, SchemaError
from tickloop.core.operator import Operator
from tickloop.core.own_tables import check_outputs

ENTRY_POINTS = "tickloop.operators"
_OWN = {
    "bars": "tickloop.analytics.operators.bars:Bars",
    "signals": "tickloop.analytics.operators.signals:Signals",
    "pairs": "tickloop.analytics.operators.pairs:Pairs",
    "quality": "tickloop.analytics.operators.quality:Quality",
}
_MEMBERS = ("name", "version", "scope", "tables", "outputs", "parameters", "initial", "step")


def names() -> list[str]:
    """List the operators that can be named."""
    return [*_OWN, *(point.name for point in _installed() if point.name not in _OWN)]


def _installed() -> Iterator[EntryPoint]:
    yield from entry_points(group=ENTRY_POINTS)


def is_file(wanted: str) -> bool:
    """Tell whether an operator is named by the path of a file."""
    return wanted.endswith(".py") or "/" in wanted


def in_full(wanted: str) -> str:
    """Name an installed operator as `module:class`, which needs no entry point; others as before.

    OperatorError if there is none of that name.
    """
    if not wanted or wanted in _OWN or is_file(wanted) or ":" in wanted:
        return wanted
    for point in _installed():
        if point.name == wanted:
            return f"{point.module}:{point.attr}"
    raise OperatorError(
        f"no operator {wanted!r}; there are {', '.join(names())}, or give a file such as my_op.py,"
        " or an installed module:class"
    )


def module_of(wanted: str) -> str | None:
    """Name the module of an installed operator; None for ours, and for files."""
    found = in_full(wanted)
    return found.partition(":")[0] if ":" in found and not is_file(found) else None


def find(wanted: str) -> Operator:
    """Make an operator: by its name, an entry point's, `module:class`, or a file with one class.

    OperatorError says what was seen and what an operator needs.
    """
    if is_file(wanted):
        return _from_file(Path(wanted))
    place = in_full(wanted)
    if place in _OWN:
        return _made(_loaded(_OWN[place]), wanted)
    try:
        found = _loaded(place)
    except Exception as error:  # a package of the user's may fail in any way
        named = wanted if place == wanted else f"{wanted} ({place})"
        raise OperatorError(
            f"operator {named} cannot be loaded ({error}); install or mend its package, or give a"
            " file such as my_op.py"
        ) from error
    return _made(found, wanted)


def _loaded(place: str) -> object:
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _from_file(path: Path) -> Operator:
    if not path.is_file():
        raise OperatorError(
            f"{path}: no such file; give the path of a Python file with an operator"
        )
    module = _module(path)
    classes = [
        each
        for _, each in inspect.getmembers(module, inspect.isclass)
        if each.__module__ == module.__name__ and not _missing(each)
    ]
    if len(classes) != 1:
        named = ", ".join(each.__name__ for each in classes) or "none"
        raise OperatorError(f"{path}: one class with {', '.join(_MEMBERS)} expected, seen {named}")
    return _made(classes[0], str(path))


def _module(path: Path) -> ModuleType:
    """Run a user's file, which he asked for; what is wrong with it is told with its place."""
    name = f"tickloop_operator_{path.stem}"
    specification = importlib.util.spec_from_file_location(name, path.resolve())
    if specification is None or specification.loader is None:
        raise OperatorError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise OperatorError(f"{path}: cannot be loaded: {type(error).__name__}: {error}") from error
    return module


def _missing(found: object) -> list[str]:
    return [member for member in _MEMBERS if not hasattr(found, member)]


def _made(kind: object, wanted: str) -> Operator:
    missing = _missing(kind)
    if missing or not callable(kind):
        raise OperatorError(f"{wanted}: an operator needs {', '.join(missing) or 'to be a class'}")
    try:
        operator = kind()
    except Exception as error:
        raise OperatorError(f"{wanted}: {type(error).__name__}: {error}") from error
    shared = set(operator.tables) & set(operator.outputs)
    if shared:
        raise OperatorError(
            f"{wanted}: it reads {', '.join(sorted(shared))}, which it also writes, and would feed"
            " on itself for ever"
        )
    found: Operator = operator
    try:
        check_outputs(found)
    except SchemaError as error:
        raise OperatorError(f"{wanted}: {error}") from error
    return found
