"""Names that every session of a data directory has: scripts and objects below DIR/shared.

`limits` lies in shared/limits, `.risk.limits` in shared/risk/limits, as q objects; shared/*.q are
scripts, run after them in the order of their names. What the database has by a name stays.
"""

from collections.abc import Callable
from pathlib import Path

from tickloop.analytics.gateway.rights import Rights
from tickloop.analytics.gateway.shared_files import SharedFiles, full_name
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.file_verbs import read_path
from tickloop.analytics.q.session import Session
from tickloop.analytics.q.values import (
    NIL,
    Builtin,
    Dictionary,
    List,
    Table,
    Value,
    chars,
    is_keyed_table,
    name_of,
    symbol,
    symbols,
)
from tickloop.analytics.q.wire import to_wire
from tickloop.core.clock import monotonic_ns
from tickloop.tickerplant.q_encode import encode

# Directories are looked at before every question, their files one by one so often.
_LOOK_NS = 200_000_000
_OBJECT = b"\xff\x01"
ERRORS = ".share.errors"
_OURS = (".q.", ".Q.", ".z.", ".h.", ".j.", ".o.", ".s.", ".share.", ".stream.")


class SharedNames:
    """The shared names of one session; `known` is what the session has that is not its own."""

    def __init__(
        self, session: Session, root: Path, rights: Rights, known: dict[str, Value]
    ) -> None:
        self._session = session
        self._rights = rights
        self._known = known
        self._files = SharedFiles(root / "shared")
        self._loaded: dict[str, Value] = {}
        self._scripts: dict[str, str] = {}  # which script a name is from
        self._looked_ns = 0
        self._seen: object = None
        self._directories: object = None
        self._is_stale = True

    def is_stale(self) -> bool:
        """Tell whether files came, went or changed since they were loaded."""
        if self._is_stale:
            return True
        directories = self._files.directories_seen()
        now = monotonic_ns()
        if directories == self._directories and now - self._looked_ns < _LOOK_NS:
            return False
        self._looked_ns, self._directories = now, directories
        self._is_stale = self._files.seen() != self._seen
        return self._is_stale

    def load(self) -> None:
        """Set every shared name as the files are now; what is wrong with one is in .share.errors.

        A shared table that the user's rights do not name is not there.
        """
        names = self._session.names.plain
        for name in self._loaded:
            names.pop(name, None)
        self._seen = self._files.seen()
        self._directories = self._files.directories_seen()
        self._looked_ns, self._is_stale = monotonic_ns(), False
        errors: dict[str, str] = {}
        found = self._found(dict(names), errors)
        self._loaded = {name: value for name, value in found.items() if self._may_see(name, value)}
        for name, verb in self._verbs().items():
            self._loaded[name] = verb
        self._loaded[ERRORS] = Dictionary(
            symbols(errors), List(tuple(chars(text) for text in errors.values()))
        )
        names.update(self._loaded)

    def _may_see(self, name: str, value: Value) -> bool:
        only = self._rights.tables
        is_table = isinstance(value, Table) or is_keyed_table(value)
        return only is None or not is_table or name in only

    def _found(self, base: dict[str, Value], errors: dict[str, str]) -> dict[str, Value]:
        """Read objects, then run scripts, in a session of their own that has the database."""
        scratch = Session(files=self._rights.outside)
        scratch.names.plain.update(base)
        for name, path in self._files.objects().items():
            try:
                self._check_name(name, base)
                scratch.names.plain[name] = read_path(scratch, path)
            except QError as error:
                errors[name] = str(error)
        self._scripts = {}
        for path in self._files.scripts():
            before = dict(scratch.names.plain)
            try:
                scratch.eval(path.read_text("utf-8", "surrogateescape"))
            except (QError, OSError) as error:
                errors[path.name] = str(error)
            scratch.namespace = ""
            self._take(scratch, before, base, path.name, errors)
        return {name: value for name, value in scratch.names.plain.items() if name not in base}

    def _take(
        self, scratch: Session, before: dict[str, Value], base: dict[str, Value], script: str,
        errors: dict[str, str],
    ) -> None:  # fmt: skip
        """Keep what a script set, without what is not its to set."""
        now = scratch.names.plain
        if scratch.names.views:
            errors[script] = "nyi: views cannot be shared; share a function instead"
            scratch.names.views.clear()
        for name in [name for name, value in now.items() if before.get(name) is not value]:
            try:
                self._check_name(name, base)
                self._scripts[name] = script
            except QError as error:
                errors[script] = str(error)
                del now[name]
        now.update(base)

    @staticmethod
    def _check_name(name: str, base: dict[str, Value]) -> None:
        if name in base:
            raise QError("assign", f"{name} is the database's; share it by another name")
        if name.startswith(_OURS):
            raise QError("assign", f"{name} is in a namespace of the language; choose another")

    # What q text calls

    def _verbs(self) -> dict[str, Value]:
        verbs: dict[str, dict[int, Callable[..., Value]]] = {
            ".share.save": {1: self._save, 2: self._save},
            ".share.drop": {1: self._drop},
            ".share.names": {1: self._names},
        }
        return {name: Builtin(name, ranks, wants_session=True) for name, ranks in verbs.items()}

    def _save(self, session: Session, given: Value, value: Value | None = None) -> Value:
        """Save a variable, or a value by a name, for every session."""
        name = self._own_name(given, "save")
        if value is None:
            value = session.get(name)
        if name in self._scripts:
            raise QError("share", f"{name} is defined in shared/{self._scripts[name]}; change that")
        raw = _OBJECT + encode(to_wire(value))
        self._files.write(name, raw)
        session.names.plain[name] = self._known[name] = self._loaded[name] = value
        self._is_stale = True
        return symbol(name)

    def _drop(self, session: Session, given: Value) -> Value:
        """Drop a saved name for every session."""
        name = self._own_name(given, "drop")
        if name in self._scripts:
            raise QError("share", f"{name} is defined in shared/{self._scripts[name]}; change that")
        self._files.remove(name)
        if name in self._loaded:
            del self._loaded[name]
            for names in (self._known, session.names.plain):
                names.pop(name, None)
        self._is_stale = True
        return symbol(name)

    def _names(self, session: Session, given: Value = NIL) -> Value:
        """List the shared names."""
        return symbols(sorted(name for name in self._loaded if not name.startswith(".share.")))

    def _own_name(self, given: Value, verb: str) -> str:
        if not self._rights.share:
            raise QError(
                "access",
                f"this user may not {verb} shared names; an administrator gives the right with"
                " share = true",
            )
        name = name_of(given)
        if name is None:
            raise QError("type", f".share.{verb} takes a name: .share.{verb}[`name]")
        base = {one: value for one, value in self._known.items() if one not in self._loaded}
        self._check_name(full_name(name), base)
        return name
