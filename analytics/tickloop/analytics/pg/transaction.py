"""Where a session stands between BEGIN and COMMIT; data is only read, so little hangs on it."""

from tickloop.analytics.pg.commands import Begin, Command, End, Savepoint
from tickloop.analytics.pg.failures import PgError, SqlState


class Transaction:
    """Idle `I`, in a transaction `T`, or in one that failed `E`."""

    def __init__(self) -> None:
        self.state = b"I"
        self._savepoints: list[str] = []

    @property
    def is_open(self) -> bool:
        """Whether BEGIN came and its end did not."""
        return self.state != b"I"

    def check(self, command: Command | None) -> None:
        """Refuse what may not come after a failure."""
        ends = isinstance(command, End) or (
            isinstance(command, Savepoint) and command.tag == "ROLLBACK"
        )
        if self.state == b"E" and not ends:
            raise PgError(
                SqlState.FAILED_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            )

    def fail(self) -> None:
        """Note that a statement failed."""
        if self.state == b"T":
            self.state = b"E"

    def begin(self, command: Begin) -> PgError | None:
        """Begin; give a warning if one is open."""
        if command.read_write:
            raise PgError(
                SqlState.READ_ONLY,
                "cannot set transaction read-write mode: SQL is read-only here",
            )
        if self.is_open:
            return PgError(
                SqlState.ACTIVE_TRANSACTION, "there is already a transaction in progress"
            )
        self.state = b"T"
        return None

    def end(self, command: End) -> tuple[str, bool, PgError | None]:
        """End; give the tag, whether what was set is kept, and a warning if none is open."""
        if not self.is_open:
            tag = "COMMIT" if command.commit else "ROLLBACK"
            return (
                tag,
                True,
                PgError(SqlState.NO_TRANSACTION, "there is no transaction in progress"),
            )
        committed = command.commit and self.state == b"T"
        self.state = b"T" if command.chain else b"I"
        self._savepoints.clear()
        return "COMMIT" if committed else "ROLLBACK", committed, None

    def savepoint(self, command: Savepoint) -> str:
        """Set a savepoint, forget it or go back to it; give the tag."""
        if not self.is_open:
            raise PgError(
                SqlState.NO_TRANSACTION, f"{command.tag} can only be used in transaction blocks"
            )
        if command.tag == "SAVEPOINT":
            self._savepoints.append(command.name)
            return command.tag
        if command.name not in self._savepoints:
            raise PgError(SqlState.NO_SUCH_SAVEPOINT, f'savepoint "{command.name}" does not exist')
        while self._savepoints[-1] != command.name:
            self._savepoints.pop()
        if command.tag == "RELEASE":
            self._savepoints.pop()
        else:
            self.state = b"T"
        return command.tag
