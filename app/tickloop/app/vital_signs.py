"""What a running or resting plant is doing, read from outside: rows, sinks, streams, jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tickloop.core.clock import WallClock, from_unix_ns, iso, monotonic_ns
from tickloop.core.errors import DataDirectoryError, ServerError
from tickloop.streaming.flink.condition import Condition, condition
from tickloop.streaming.flink.deployed import deployed
from tickloop.streaming.flink.rest import Rest
from tickloop.tickerplant.database import Database
from tickloop.tickerplant.directory import DataDirectory
from tickloop.tickerplant.sinks.cursor import NO_SEQ, CursorFile
from tickloop.tickerplant.synced_seq import NAME as SYNCED
from tickloop.tickerplant.synced_seq import SyncedSeq

_S = 10**9


@dataclass(frozen=True, slots=True)
class SinkSign:
    """How far a sink came."""

    name: str
    target: str
    state: str
    rows: int
    behind: int  # rows that are on disk and that its server has not acknowledged


@dataclass(frozen=True, slots=True)
class StreamSign:
    """What an embedded stream keeps."""

    name: str
    state_bytes: int
    saved_s: float  # since its state was written last


@dataclass(frozen=True, slots=True)
class Signs:
    """Everything at one instant; rates are since the look before, None at the first one."""

    at: str
    is_live: bool
    pid: int | None
    started: str
    ports: Mapping[str, int]
    rows: Mapping[str, int]
    rates: Mapping[str, float] | None  # rows/s, of tables that grew
    synced: int  # every row up to this seq is on disk
    sinks: Sequence[SinkSign]
    streams: Sequence[StreamSign]
    jobs: Sequence[Condition]
    cluster: str  # why there is nothing of jobs; empty if all is well or none is wanted

    def as_json(self) -> dict[str, object]:
        """Give plain values."""
        return asdict(self)


class Observer:
    """Looks at one data directory again and again, without a lock and without its processes."""

    def __init__(self, root: Path, cluster: Rest | None) -> None:
        """Open a directory; a cluster is asked too if there is one.

        DataDirectoryError if nothing was captured there.
        """
        self.root = root
        self._directory = DataDirectory(root)
        self._database = Database(root)
        if self._database.is_empty:
            raise DataDirectoryError(
                f"{root} holds no capture; `tickloop run --data {root}` makes one"
            )
        self._cluster = cluster
        self._clock = WallClock()
        self._last: tuple[int, Mapping[str, int]] | None = None
        path = self._directory.journal / SYNCED
        self._synced = SyncedSeq(path) if path.exists() else None

    def look(self) -> Signs:
        """Read everything once."""
        now_ns, rows = monotonic_ns(), self._rows()
        run = self._directory.run()
        synced = NO_SEQ if self._synced is None else self._synced.value
        jobs, cluster = self._jobs()
        signs = Signs(
            at=iso(self._clock.now()), is_live=self._directory.is_held(),
            pid=run.pid if run else None, started=run.started if run else "",
            ports=dict(run.ports) if run else {}, rows=rows, rates=self._rates(now_ns, rows),
            synced=synced, sinks=self._sinks(synced), streams=self._streams(), jobs=jobs,
            cluster=cluster,
        )  # fmt: skip
        self._last = now_ns, rows
        return signs

    def _rows(self) -> dict[str, int]:
        snapshot = self._database.snapshot()
        counts = {name: sum(len(part) for part in snapshot.parts(name)) for name in snapshot.tables}
        return {name: count for name, count in counts.items() if count}

    def _rates(self, now_ns: int, rows: Mapping[str, int]) -> dict[str, float] | None:
        if self._last is None:
            return None
        before_ns, before = self._last
        spent_s = max(now_ns - before_ns, 1) / _S
        return {name: (count - before.get(name, 0)) / spent_s for name, count in rows.items()}

    def _sinks(self, synced: int) -> list[SinkSign]:
        found = []
        for path in sorted((self.root / "cursors").glob("*.json")):
            cursor = CursorFile(self.root, path.stem).peek()
            if cursor is not None:
                behind = max(synced - cursor.seq, 0)
                found.append(
                    SinkSign(cursor.sink, cursor.target, cursor.state, cursor.rows, behind)
                )
        return found

    def _streams(self) -> list[StreamSign]:
        found = []
        for path in sorted((self.root / "cursors").glob("*.state")):
            status = path.stat()
            saved_s = (self._clock.now() - from_unix_ns(status.st_mtime_ns)) / _S
            found.append(StreamSign(path.stem, status.st_size, max(saved_s, 0.0)))
        return found

    def _jobs(self) -> tuple[list[Condition], str]:
        if self._cluster is None:
            return [], ""
        try:
            return [condition(self._cluster, each) for each in deployed(self._cluster)], ""
        except ServerError as error:
            return [], str(error)
