"""`\\l`: scripts, files and whole databases into a session."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.file_paths import path_of, session_of
from tickloop.analytics.q.mounted import mount
from tickloop.analytics.q.object_files import read_value
from tickloop.analytics.q.partition_places import name_places
from tickloop.analytics.q.registry import Interpreter
from tickloop.analytics.q.saving import PAR_FILE, partitions_of
from tickloop.analytics.q.splayed_files import is_table, read_table
from tickloop.analytics.q.values import Dictionary, List, symbols

if TYPE_CHECKING:
    from tickloop.analytics.q.session import Session

_SCRIPTS = (".q", ".k")


def load_path(session: Interpreter, name: str) -> None:
    """Load a script, a database, a splayed table or one value, as what the name means tells."""
    path = path_of(session, name)
    if path.is_dir():
        if is_table(path):
            session.set(path.name, read_table(session, path))
        else:
            load_database(session, path)
    elif path.is_file() and path.suffix == "":
        session.set(path.name, read_value(session, path))
    else:
        cast("Session", session).load(name)


def load_database(session: Interpreter, path: Path, *, with_scripts: bool = True) -> None:
    """Load what a directory holds: values, tables, partitions, and scripts unless told not to."""
    whole = session_of(session)
    # Names of files in a database's scripts are relative to it.
    whole.directory = path
    _load_values(session, path)
    parts = partitions_of(path) if (path / PAR_FILE).exists() or _has_partitions(path) else []
    if any(is_table(table) for part in parts for table in part.iterdir()):
        mount(session, path)
        name_places(session, path.resolve())
    for script in sorted(path.iterdir()) if with_scripts else ():
        if script.is_file() and script.suffix in _SCRIPTS:
            whole.load(script.name)


def _has_partitions(path: Path) -> bool:
    return bool(partitions_of(path))


def _load_values(session: Interpreter, path: Path) -> None:
    entries = [entry for entry in sorted(path.iterdir()) if _is_name(entry.name)]
    # Enumerated columns read the lists they point into, so files come before directories.
    for entry in entries:
        if entry.is_file():
            session.set(entry.name, read_value(session, entry))
    for entry in entries:
        if entry.is_dir() and is_table(entry):
            session.set(entry.name, read_table(session, entry))


def _is_name(name: str) -> bool:
    return name.isidentifier() and name.isascii() and not name.startswith("_")


def load_directory_values(session: Interpreter, path: Path, name: str) -> None:
    """Load a directory's files as a dictionary under its name."""
    if not path.is_dir():
        raise QError(str(path), "no such directory")
    names = [entry.name for entry in sorted(path.iterdir()) if entry.is_file()]
    values = [read_value(session, path / each) for each in names]
    session.set(name, Dictionary(symbols(names), List(tuple(values))))
