"""QuestDB's client, wrapped: columns in, acknowledged requests out."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tickloop.core.errors import SinkAwayError, SinkError
from tickloop.tickerplant.sinks.questdb_columns import Coded, Spelled

if TYPE_CHECKING:
    import pandas as pd


class QuestDbSender:
    """One connection; the client never makes another by itself, so a new one is made after errors.

    Nothing is sent before `flush`, and what `flush` returned from is in the server's log.
    """

    def __init__(self, address: str, *, user: str, password: str, timeout_s: float) -> None:
        from questdb import Sender

        self._address = address
        parts = [
            f"addr={address}", "auto_flush=off", "retry_timeout=0", "protocol_version=2",
            f"request_timeout={int(timeout_s * 1000)}",
        ]  # fmt: skip
        if user:
            parts += [f"username={_escaped(user)}", f"password={_escaped(password)}"]
        self._sender: Any = Sender.from_conf("http::" + ";".join(parts) + ";")
        self._sender.establish()

    def add(
        self, table: str, columns: Mapping[str, Spelled], *, symbols: Sequence[str], at: str
    ) -> None:
        """Put rows into the next request."""
        from questdb import QuestDBError

        try:
            self._sender.dataframe(_frame(columns), table_name=table, symbols=list(symbols), at=at)
        except QuestDBError as error:
            raise SinkError(f"{table}: rows cannot be spelled for QuestDB: {error}") from error

    def flush(self) -> None:
        """Send the request and wait for the answer."""
        from questdb import QuestDBError

        try:
            self._sender.flush()
        except QuestDBError as error:
            if '"code":"invalid"' in str(error):
                raise SinkError(
                    f"QuestDB at {self._address} refused rows: {error}; was a table altered while"
                    " rows were sent?"
                ) from error
            raise SinkAwayError(f"QuestDB at {self._address} took no rows: {error}") from error

    def close(self) -> None:
        """Let go without sending anything more."""
        self._sender.close(flush=False)


def _escaped(text: str) -> str:
    return text.replace(";", ";;")


def _frame(columns: Mapping[str, Spelled]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(
        {
            name: pd.Categorical.from_codes(values.codes, values.names)
            if isinstance(values, Coded)
            else values
            for name, values in columns.items()
        },
        copy=False,
    )
