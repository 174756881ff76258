"""What the plant asks of the store of today's rows."""

from typing import Protocol

from tickloop.core.batch import Batch


class Today(Protocol):
    """Takes surface rows in seq order and shows them to readers when told."""

    def append(self, rows: Batch) -> None:
        """Copy rows; readers do not see them yet."""
        ...

    def publish(self, seq: int) -> None:
        """Show every appended row up to `seq` at once."""
        ...

    def add_symbols(self) -> None:
        """Write names that were allocated since the last call to the database's symbol file."""
        ...
