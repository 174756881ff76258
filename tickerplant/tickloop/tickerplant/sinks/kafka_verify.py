"""Compare topics with the journal: every seq once, and every value the same."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.errors import SinkError
from tickloop.core.schema import Kind
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.journal_reader import JournalReader
from tickloop.tickerplant.sinks.kafka_client import Bus
from tickloop.tickerplant.sinks.kafka_reader import KafkaReader
from tickloop.tickerplant.sinks.shards import Shards

_Seqs = list[npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class TableVerdict:
    """One table: how many rows each side has, and what is wrong with the topic's."""

    table: str
    journal: int
    topic: int
    lost: int  # in the journal, up to where the topic reaches, and not in the topic
    repeated: int  # in the topic more than once
    foreign: int  # in the topic alone
    is_equal: bool  # digests of all values agree
    waiting: int = 0  # in the journal past what the topic was told of

    @property
    def is_good(self) -> bool:
        """Tell whether nothing is lost, repeated, foreign or altered."""
        return self.is_equal and not (self.lost or self.repeated or self.foreign)

    def as_json(self) -> dict[str, object]:
        """Give plain values."""
        return {**asdict(self), "good": self.is_good}


@dataclass
class _Side:
    """Seqs and a digest a shard of one table; where rows are cut into batches changes neither."""

    shards: int
    seqs: _Seqs = field(default_factory=list)

    def __post_init__(self) -> None:
        self._digests = [hashlib.blake2b(digest_size=16) for _ in range(self.shards)]

    def add(self, rows: Batch, shard: int, names: "_NameDigests") -> None:
        self.seqs.append(rows.columns["seq"].astype(np.int64))
        self._digests[shard].update(_row_major(rows, names))

    @property
    def digests(self) -> list[str]:
        return [digest.hexdigest() for digest in self._digests]

    def all_seqs(self) -> npt.NDArray[np.int64]:
        return np.concatenate([np.empty(0, dtype=np.int64), *self.seqs])


class _NameDigests:
    """A number a symbol that depends on its name alone: each side has ids of its own."""

    def __init__(self, symbols: Symbols) -> None:
        self._symbols = symbols
        self._known = np.zeros(1, dtype=np.int64)

    def of(self, ids: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
        known = len(self._known) - 1
        if len(self._symbols) > known:
            new = [_name_digest(name) for name in self._symbols.names_from(known)]
            self._known = np.array([*self._known[:-1], *new, 0], dtype=np.int64)
        return self._known[np.maximum(ids.astype(np.int32, copy=False), -1)]


def _name_digest(name: str) -> int:
    raw = hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=8).digest()
    return int.from_bytes(raw, "little", signed=True)


def _row_major(rows: Batch, names: _NameDigests) -> bytes:
    """Spell rows one after the other."""
    columns = []
    for column in rows.table.columns:
        values = rows.columns[column.name]
        if column.kind is Kind.SYMBOL:
            values = names.of(values)
        elif column.kind is Kind.TEXT:
            values = np.array([_name_digest(text.decode("latin-1")) for text in values.tolist()])
        columns.append(np.ascontiguousarray(values))
    packed = np.empty(len(rows), dtype=[(str(n), each.dtype) for n, each in enumerate(columns)])
    for number, each in enumerate(columns):
        packed[str(number)] = each
    return packed.tobytes()


def verify(
    bus: Bus, prefix: str, *, journal: Path, catalog: Catalog, symbols: Symbols, plant: int,
    tables: str = "",
) -> list[TableVerdict]:  # fmt: skip
    """Read topics and journal to their present ends and compare them table by table.

    SinkError if the topics are of another plant than `plant`, whose journal it is.
    """
    own = Symbols()
    reader = KafkaReader(bus, prefix, tables=tables, symbols=own, is_strict=False)
    try:
        if reader.plant != plant:
            raise SinkError(
                f"topics {prefix}* at {bus.bootstrap} are of plant {reader.plant:x}, {journal} is"
                f" of plant {plant:x}: check --prefix and --data, and [plant] name"
            )
        sides = {name: _Side(sent.shards) for name, sent in reader.tables.items()}
        digests = _NameDigests(own)
        reader.begin()
        for delivery in reader.until(reader.ends()):
            if len(delivery.message.rows):
                header = delivery.message.header
                sides[delivery.table].add(reader.surface(delivery), header.shard, digests)
        told = {where: reader.through(where) for where in reader.partitions}
        reach = {
            name: [told[prefix + name, shard] for shard in range(sent.shards)]
            for name, sent in reader.tables.items()
        }
        logged, waiting = _journal_sides(journal, catalog, symbols, reach)
        return [_verdict(name, logged[name], sides[name], reader, waiting[name]) for name in sides]
    finally:
        reader.close()


def _journal_sides(
    journal: Path, catalog: Catalog, symbols: Symbols, reach: dict[str, list[int]]
) -> tuple[dict[str, _Side], dict[str, int]]:
    """Read the log's rows as far as the topics were told of them; count the rest."""
    sides = {name: _Side(len(told)) for name, told in reach.items()}
    shards = {name: Shards(symbols, len(told)) for name, told in reach.items()}
    waiting = dict.fromkeys(reach, 0)
    digests = _NameDigests(symbols)
    for rows in JournalReader(journal, catalog, symbols).tables(-1):
        name = rows.table.name
        if name not in sides:
            continue
        own = shards[name].of(rows.columns["sym"])
        seqs = rows.columns["seq"].astype(np.int64)
        for shard, told in enumerate(reach[name]):
            is_here = own == shard
            picks = np.flatnonzero(is_here & (seqs <= told))
            waiting[name] += int(np.count_nonzero(is_here)) - len(picks)
            if len(picks):
                part = {key: values[picks] for key, values in rows.columns.items()}
                sides[name].add(Batch(rows.table, part), shard, digests)
    return sides, waiting


def _verdict(
    name: str, logged: _Side, sent: _Side, reader: KafkaReader, waiting: int
) -> TableVerdict:  # fmt: skip
    ours, theirs = logged.all_seqs(), sent.all_seqs()
    repeated, foreign = reader.repeated_rows[name], reader.foreign_rows[name]
    return TableVerdict(
        name, len(ours) + waiting, len(theirs) + repeated + foreign,
        lost=int(np.setdiff1d(ours, theirs).size), repeated=repeated,
        foreign=int(np.setdiff1d(theirs, ours).size) + foreign,
        is_equal=_agree(logged.digests, sent.digests), waiting=waiting,
    )  # fmt: skip


def _agree(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    return list(ours) == list(theirs)
