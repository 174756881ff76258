"""One share of a job: messages of the bus in, messages of derived rows out, its state as bytes.

Nothing here knows Flink. The state is a base, and the messages since: bytes that are the same
however often a base is taken, so a large state is not spelled again for every message.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from tickloop.core.batch import Batch
from tickloop.core.errors import SnapshotError, WireError
from tickloop.core.kernel import warm_up
from tickloop.core.operator import Scope
from tickloop.core.parameters import Setting
from tickloop.core.schema import CLOCK, CONTROL, Kind
from tickloop.streaming.finding import find
from tickloop.streaming.fitting import check_rows, tables_of
from tickloop.streaming.flink.gather import Gather, Input
from tickloop.streaming.flink.known import Known
from tickloop.streaming.flink.own_code import place_of
from tickloop.streaming.flink.plan import JobPlan, from_json
from tickloop.streaming.flink.results import Writer
from tickloop.streaming.flink.unpack import use
from tickloop.streaming.fold import Fold
from tickloop.streaming.job import Job, job, live_changes
from tickloop.streaming.routing import shares
from tickloop.tickerplant.sinks.envelope import (
    MAGIC,
    NO_SEQ,
    Header,
    Message,
    decode,
    nothing_of,
    read_header,
    schema_id,
)

# A silent table's progress is told after so many groups, or with the next clock row.
_SILENT_GROUPS = 64


def job_of(plan: JobPlan) -> Job:
    """Make a plan's job; a user's file is taken from the unpacked code, if there is any here."""
    operator = plan.operator
    if plan.path:
        folder = use(plan.code_digest)
        operator = str(folder / place_of(plan.path)) if folder else plan.path
    return job(plan.name, find(operator), plan.params)


def opened(text: str) -> Callable[[int, bytes | None], "Share"]:
    """Compile what a plan needs; give what makes or restores a share."""
    plan = from_json(text)
    made = job_of(plan)
    warm_up()
    return partial(Share, plan, made)


def count_of(plan: JobPlan, job: Job) -> int:
    """Count the shares of a job: one a shard, or one alone that needs everything."""
    return len(shares(job, plan.shards))


def reads_all(job: Job) -> bool:
    """Tell whether every share needs every shard."""
    return job.operator.scope is not Scope.SYMBOL


def _inputs(plan: JobPlan, job: Job, share: int) -> list[Input]:
    """List what a share has to be told of."""
    known = plan.by_name()
    wanted = [known[name] for name in plan.inputs]
    return [
        (schema_id(table), shard)
        for table in wanted
        for shard in range(plan.shards)
        if reads_all(job) or table == CONTROL or shard == share
    ]


def _without_text(message: Message) -> Message:
    """Leave text out, which no operator is given."""
    rows = message.rows
    texts = {column.name for column in rows.table.columns if column.kind is Kind.TEXT}
    if not texts:
        return message
    kept = {name: values for name, values in rows.columns.items() if name not in texts}
    return Message(message.header, Batch(rows.table, kept), message.clocks)


class Share:
    """Folds one share of a job."""

    def __init__(self, plan: JobPlan, job: Job, share: int, base: bytes | None = None) -> None:
        """Begin, or go on from a base; the messages since it have to be `replayed` then."""
        divided = shares(job, plan.shards)
        self._plan = plan
        self._job = divided[share]
        self._writer = (share, len(divided))
        self._shards = plan.shards
        known = plan.by_name()
        self._tables = {schema_id(known[name]): known[name] for name in plan.tables}
        self._outputs = tables_of(job, known, "the job's plan")
        self._known = Known()
        # Messages with symbols that the dictionary has not told yet, in their order by input.
        self._early: dict[Input, deque[bytes]] = {}
        self._silent = 0
        self._plant = 0
        # What the state was made with; a plan may have other values for the live ones since.
        self._params: dict[str, Setting] = dict(job.params)
        inputs = _inputs(plan, self._job, share)
        if base is None:
            start = plan.start["seq"] if isinstance(plan.start, Mapping) else NO_SEQ
            self._gather = Gather[bytes](inputs, start)
            self._fold = Fold(self._job)
            self._sent = dict.fromkeys(job.operator.outputs, start)
        else:
            self._go_on(inputs, base)

    @property
    def repeated(self) -> int:
        """Count the messages that came again and were passed over."""
        return self._gather.repeated

    def take(self, raw: bytes) -> list[bytes]:
        """Take an element of the stream; give the messages that follow from it."""
        return [each for group in self._groups(raw) for each in self._spelled(group)]

    def replay(self, messages: Sequence[bytes]) -> None:
        """Take messages again that were taken after the base: what follows was sent then."""
        for raw in messages:
            for group in self._groups(raw):
                self._folded(group)

    def adopt(self) -> bool:
        """Take up live parameters that the plan changed since the base; tell whether there are any.

        They hold from the next row on, so what was taken since the base is `replayed` before.
        """
        changed = live_changes(self._job, self._params)
        if changed:
            self._params |= changed
            self._fold.change(changed)
        return bool(changed)

    # Messages in

    def _groups(self, raw: bytes) -> Iterator[Sequence[Batch]]:
        if raw[:4] != MAGIC:
            if rows := self._known.learn(raw):
                self._fold.take(rows)
                yield from self._retried()
            return
        header = read_header(raw)
        if header.shards != self._shards:
            raise WireError(
                f"a message of {header.shards} shards seen, {self._shards} expected, as the topics"
                " had partitions when the job was planned: the plant's [sinks.kafka] shards were"
                " changed since; deploy the stream under another name"
            )
        where = header.schema, header.shard
        if where in self._early:
            self._early[where].append(raw)
        elif self._gather.is_new(header) and (group := self._added(header, raw)):
            yield group

    def _added(self, header: Header, raw: bytes) -> Sequence[Batch]:
        message = _without_text(decode(raw, self._tables[header.schema], header))
        if not self._known.has_all(message.rows):
            self._early[header.schema, header.shard] = deque([raw])
            return ()
        self._plant = header.plant
        if header.floats:
            message = type(message)(
                header, self._known.whole(message.rows, header.floats), message.clocks
            )
        return self._gather.add(raw, message)

    def _retried(self) -> Iterator[Sequence[Batch]]:
        early, self._early = self._early, {}
        for messages in early.values():
            for raw in messages:
                yield from self._groups(raw)

    def _folded(self, group: Sequence[Batch]) -> Sequence[Batch]:
        return self._fold.take(
            [self._known.named(each) if each.table == CONTROL else each for each in group]
        )

    # Messages out

    def _spelled(self, group: Sequence[Batch]) -> Iterator[bytes]:
        made = {rows.table.name: rows for rows in self._folded(group)}
        for each in made.values():
            check_rows(self._job, each, self._outputs)
        self._silent += 1
        is_due = self._silent >= _SILENT_GROUPS or any(each.table == CLOCK for each in group)
        if is_due:
            self._silent = 0
        elif not made:
            return
        writer = Writer(*self._writer, self._plant)
        for table in self._outputs.values():
            rows = made.get(table.name)
            if rows is not None or is_due:
                through = self._gather.done
                yield from writer.messages(
                    nothing_of(table) if rows is None else rows, self._sent[table.name], through
                )
                self._sent[table.name] = through

    # State

    def is_of(self, base: bytes) -> bool:
        """Tell whether a base was made by this share's code and plan."""
        return plan_of(base) == self._plan.to_json()

    def base(self) -> tuple[bytes, list[bytes]]:
        """Give a base and the messages that have to follow it."""
        told, held = self._gather.settled()
        manifest = {
            "done": self._gather.done, "told": [[*where, seq] for where, seq in told.items()],
            "sent": self._sent, "plant": self._plant, "params": self._params,
            "plan": self._plan.to_json(),
        }  # fmt: skip
        parts = [json.dumps(manifest).encode(), b"\n".join(self._known.records),
                 self._fold.snapshot()]  # fmt: skip
        early = [raw for messages in self._early.values() for raw in messages]
        lengths = b"".join(len(part).to_bytes(8, "little") for part in parts)
        return b"".join((lengths, *parts)), [*held, *early]

    def _go_on(self, inputs: Sequence[Input], base: bytes) -> None:
        manifest, names, state = _parts(base)
        try:
            told = {(int(a), int(b)): int(seq) for a, b, seq in manifest["told"]}
            self._params = dict(manifest["params"])
            self._gather = Gather[bytes](inputs, int(manifest["done"]), told)
            self._sent = {str(table): int(seq) for table, seq in manifest["sent"].items()}
            self._plant = int(manifest["plant"])
        except (ValueError, KeyError, TypeError) as error:
            raise _damaged(base, error) from error
        for record in names.split(b"\n"):
            if record:
                self._known.learn(record)
        self._fold = Fold(self._job, state)


def plan_of(base: bytes) -> str:
    """Give the plan, as JSON, by whose code a base was made and messages since then were taken."""
    return str(_parts(base)[0].get("plan", ""))


def _parts(base: bytes) -> tuple[dict[str, Any], bytes, bytes]:
    """Take a base apart: what it tells, the symbols, the fold's snapshot."""
    lengths = [int.from_bytes(base[at : at + 8], "little") for at in (0, 8, 16)]
    ends = [24 + sum(lengths[: count + 1]) for count in range(3)]
    try:
        manifest: dict[str, Any] = json.loads(base[24 : ends[0]])
    except ValueError as error:
        raise _damaged(base, error) from error
    return manifest, base[ends[0] : ends[1]], base[ends[1] :]


def _damaged(base: bytes, error: Exception) -> SnapshotError:
    return SnapshotError(
        f"a share's state of {len(base)} bytes is damaged ({error}); start the job from an older"
        " savepoint, or from its first row"
    )
