"""File symbols as paths: what a session may touch, relative to its own directory."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.registry import Interpreter
from tickloop.analytics.q.values import Value, name_of

if TYPE_CHECKING:
    from tickloop.analytics.q.session import Session


def session_of(session: Interpreter) -> "Session":
    """Give the whole session behind an interpreter; 'access if it may not touch files."""
    whole = cast("Session", session)
    if not getattr(session, "files", False):
        raise QError("access", "this session may not touch files; Session(files=True) may")
    return whole


def path_of(session: Interpreter, name: str) -> Path:
    """Give the path of a file symbol's text, such as `:db/trade` or `db/trade`."""
    whole = session_of(session)
    return whole.directory / name.removeprefix(":")


def file_of(session: Interpreter, value: Value) -> Path:
    """Give the path of a file symbol; 'type if the value is none."""
    name = name_of(value)
    if name is None:
        raise type_error("a file symbol needed, as in `:directory/file")
    return path_of(session, name)


def is_directory_name(name: str) -> bool:
    """Tell whether a file symbol means a splayed table: it ends with a slash."""
    return name.endswith("/")


def refused(path: Path, error: OSError) -> QError:
    """Make the error of a file that cannot be read or written, named as the path."""
    return QError(f"{path}. OS reports: {error.strerror}", "the file cannot be read or written")
