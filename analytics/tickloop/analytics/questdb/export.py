"""A question to a QuestDB server and its rows, as the server's Parquet export gives them.

Parquet keeps every type and every null, and timestamps to the nanosecond, which the server's
Postgres port and its JSON do not. The server's export takes nothing but SELECT.
"""

import base64
import http.client
import json
import socket
import tempfile
import urllib.parse
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from tickloop.core.errors import QueryError
from tickloop.tickerplant.sinks.questdb_rest import QuestDb

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_IN_MEMORY = 1 << 25
_PIECE = 1 << 20


class Export:
    """One question; `interrupt` may come from any thread or signal, the rest from one."""

    def __init__(
        self, server: QuestDb, statement: str, *, timeout_s: float, bytes_max: int
    ) -> None:
        self._server = server
        self._statement = statement
        self._timeout_s = timeout_s
        self._bytes_max = bytes_max
        host, _, port = server.address.rpartition(":")
        # A little longer than the server is given: it says better what was wrong.
        self._line = http.client.HTTPConnection(host, int(port), timeout=timeout_s + 5.0)
        self._is_stopped = False
        self._file: IO[bytes] | None = None

    def run(self) -> "pq.ParquetFile":
        """Ask, and wait for all rows; QueryError says why there are none."""
        import pyarrow.parquet as pq

        try:
            answer = self._answer()
            return pq.ParquetFile(self._taken(answer))
        except (OSError, http.client.HTTPException, ValueError) as error:
            if self._is_stopped:
                raise QueryError("INTERRUPT Error: Interrupted!") from error
            if isinstance(error, TimeoutError):
                raise QueryError(
                    f"timeout: QuestDB at {self._server.address} gave no answer within"
                    f" {self._timeout_s:.0f} s"
                ) from error
            raise QueryError(
                f"QuestDB at {self._server.address} does not answer ({error}); `tickloop status`"
                " tells of those started here"
            ) from error
        finally:
            self._line.close()

    def _answer(self) -> http.client.HTTPResponse:
        headers = {"Statement-Timeout": str(max(int(self._timeout_s * 1000), 1))}
        if self._server.user:
            pair = base64.b64encode(f"{self._server.user}:{self._server.password}".encode())
            headers["Authorization"] = f"Basic {pair.decode()}"
        fields = {"query": self._statement, "fmt": "parquet"}
        self._line.request("GET", f"/exp?{urllib.parse.urlencode(fields)}", headers=headers)
        answer = self._line.getresponse()
        if answer.status != 200:
            raise self._refused(answer)
        return answer

    def _taken(self, answer: http.client.HTTPResponse) -> IO[bytes]:
        """Keep the answer in memory, or in a file that has no name if it is large."""
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - read by the caller
        size = 0
        while piece := answer.read(_PIECE):
            size += len(piece)
            if size > self._bytes_max:
                raise QueryError(
                    f"wsfull: more than {self._bytes_max >> 20} MiB in QuestDB's answer, the limit"
                    " of this user; select fewer rows or columns"
                )
            self._file.write(piece)
        self._file.seek(0)
        return self._file

    def _refused(self, answer: http.client.HTTPResponse) -> QueryError:
        text = answer.read(1 << 16).decode(errors="replace")
        position = None
        with suppress(ValueError, KeyError, TypeError):
            found = json.loads(text)
            text, position = str(found["error"]), found.get("position")
        if answer.status == 401:
            return QueryError(
                f"QuestDB at {self._server.address} refused the login: {text[:200]}; check"
                " [sinks.questdb] user and password_file"
            )
        if "timeout, query aborted" in text:
            return QueryError(f"timeout: QuestDB stopped the statement after {self._timeout_s:g} s")
        where = ""
        if position:
            where = f", at: {self._statement[position : position + 40]!r}"
        return QueryError(f"QuestDB: {text[:500]}{where}")

    def interrupt(self) -> None:
        """Stop; the server notices that nobody listens any more and stops as well."""
        self._is_stopped = True
        with suppress(OSError, AttributeError):
            self._line.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let the rows go."""
        if self._file is not None:
            self._file.close()


def batches(file: "pq.ParquetFile", rows: int) -> Iterator["pa.RecordBatch"]:
    """Give rows with characters as text, which the export has as their codes."""
    for batch in file.iter_batches(rows):
        yield _with_texts(batch)


def shape(file: "pq.ParquetFile") -> "pa.Schema":
    """Give the columns of `batches`."""
    empty = file.schema_arrow.empty_table().to_batches()
    import pyarrow as pa

    first = empty[0] if empty else pa.RecordBatch.from_pylist([], schema=file.schema_arrow)
    return _with_texts(first).schema


def _with_texts(batch: "pa.RecordBatch") -> "pa.RecordBatch":
    import pyarrow as pa

    arrays = []
    for column in batch.columns:
        if column.type == pa.uint16():
            column = _characters(column)
        elif isinstance(column, pa.ExtensionArray):
            column = pa.array([None if one is None else str(one) for one in column.to_pylist()])
        arrays.append(column)
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _characters(codes: "pa.Array") -> "pa.Array":
    import pyarrow as pa

    coded = codes.dictionary_encode()
    names = [
        None if not code else chr(code).encode(errors="replace").decode()
        for code in coded.dictionary.to_pylist()
    ]
    return pa.array(names, pa.string()).take(coded.indices)
