"""Where the QuestDB server is that questions can go to, as plain words for other processes."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tickloop.core.errors import QueryError
from tickloop.tickerplant.sinks.cursor import CursorFile
from tickloop.tickerplant.sinks.questdb_rest import QuestDb

QUESTDB, HERE = "questdb", "hdb"
ENGINES = (HERE, QUESTDB)


def is_elsewhere(on: str) -> bool:
    """Tell whether a question goes to QuestDB; QueryError for the name of no engine."""
    if on not in ("", *ENGINES):
        raise QueryError(f"engine {on!r} seen, one of {', '.join(ENGINES)} expected")
    return on == QUESTDB


@dataclass(frozen=True, slots=True)
class Place:
    """A server's HTTP port and who asks; without an address, where the directory's sink sends."""

    address: str = ""  # HOST:PORT
    user: str = ""
    password_file: str = ""

    def as_text(self) -> str:
        """Spell it for another process; the password stays in its file."""
        return json.dumps(asdict(self))

    def server(self, root: Path) -> QuestDb:
        """Give the server for a data directory; QueryError if none is known."""
        address = self.address
        if not address:
            cursor = CursorFile(root, "questdb").peek()
            address = "" if cursor is None else cursor.target
        if not address:
            raise QueryError(
                f"no QuestDB is known for {root}: set [sinks.questdb] address in the"
                " configuration, or give an address (`tickloop up questdb` starts a server)"
            )
        return QuestDb(address, self.user, self._password())

    def _password(self) -> str:
        if not self.password_file:
            return ""
        try:
            return Path(self.password_file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise QueryError(
                f"{self.password_file}: cannot be read ({error.strerror}); check [sinks.questdb]"
            ) from error


def place_of(text: str) -> Place:
    """Read what `as_text` spelled."""
    return Place(**json.loads(text))
