"""The job as Flink sees it: sources, one keyed step, a sink. Only this module imports PyFlink."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import cloudpickle
from pyflink.common import (
    ByteArraySchema,
    Configuration,
    Types,
    WatermarkStrategy,
)
from pyflink.datastream import (
    CheckpointingMode,
    DataStream,
    ExternalizedCheckpointRetention,
    KeyedCoProcessFunction,
    KeyedProcessFunction,
    RuntimeContext,
    StreamExecutionEnvironment,
)
from pyflink.datastream.connectors.base import DeliveryGuarantee
from pyflink.datastream.connectors.kafka import (
    KafkaOffsetsInitializer,
    KafkaRecordSerializationSchema,
    KafkaSink,
    KafkaSource,
)
from pyflink.datastream.state import ListStateDescriptor, ValueStateDescriptor

from tickloop.streaming.flink.plan import (
    EXACTLY_ONCE,
    EXECUTION_MODE,
    TRANSACTION_TIMEOUT_MS,
    JobPlan,
    from_json,
)
from tickloop.streaming.flink.unpack import use

if TYPE_CHECKING:
    from tickloop.streaming.flink.share import Share

_BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())
_FETCH_BYTES = 8 << 20
# Messages since the last base may have so many bytes, or as many as the base.
_SINCE_BYTES = 1 << 20


def submit(text: str) -> None:
    """Hand the job of a plan to the cluster that runs this."""
    plan = from_json(text)
    # Classes of this module travel whole: a task manager may have another version of it loaded.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    environment = _environment(plan)
    _build(plan, environment)
    environment.execute(plan.job_name)


def _environment(plan: JobPlan) -> StreamExecutionEnvironment:
    settings = Configuration()
    settings.set_string("python.execution-mode", EXECUTION_MODE)
    settings.set_string("pipeline.max-parallelism", str(plan.max_parallelism))
    settings.set_string("pipeline.object-reuse", "true")
    environment = StreamExecutionEnvironment.get_execution_environment(settings)
    environment.set_parallelism(plan.parallelism)
    environment.set_max_parallelism(plan.max_parallelism)
    environment.set_buffer_timeout(0)
    environment.enable_checkpointing(plan.checkpoint_ms, CheckpointingMode.EXACTLY_ONCE)
    environment.get_checkpoint_config().set_externalized_checkpoint_retention(
        ExternalizedCheckpointRetention.RETAIN_ON_CANCELLATION
    )
    return environment


def _build(plan: JobPlan, environment: StreamExecutionEnvironment) -> None:
    from tickloop.streaming.flink.keys import key_of
    from tickloop.streaming.flink.share import count_of, job_of, reads_all
    from tickloop.tickerplant.sinks.kafka_names import Names

    job = job_of(plan)
    count = count_of(plan, job)
    keys = [key_of(share, count, plan.max_parallelism) for share in range(count)]
    names = Names(plan.prefix)

    everywhere = [names.symbols]
    own: list[str] = []
    for table in plan.inputs:
        (everywhere if reads_all(job) or table == "control" else own).append(names.table(table))
    to_all, key = _ToAll(plan.code_digest, count), _KeyOf(plan.code_digest, keys)
    step = plan.to_json(), plan.code_digest, keys
    shared = _source(plan, environment, "shared", everywhere).flat_map(to_all, _BYTES)
    copied = shared.uid(plan.uid("to-all")).key_by(key, Types.INT())
    if own:
        # Two inputs of one step: a union would put another exchange between source and step.
        rows = _source(plan, environment, "rows", own).key_by(key, Types.INT())
        made = rows.connect(copied).process(TwoInputs(*step), _BYTES)
    else:
        made = copied.process(OneInput(*step), _BYTES)
    made.uid(plan.uid("fold")).name(plan.name)
    made.sink_to(_sink(plan)).uid(plan.uid("sink")).name(plan.topic)


def _source(
    plan: JobPlan, environment: StreamExecutionEnvironment, part: str, topics: list[str]
) -> DataStream:
    source = (
        KafkaSource.builder()
        .set_bootstrap_servers(plan.brokers)
        .set_topics(*topics)
        .set_group_id(f"{plan.prefix}{plan.name}")
        .set_starting_offsets(KafkaOffsetsInitializer.earliest())
        .set_value_only_deserializer(ByteArraySchema())
        .set_property("max.partition.fetch.bytes", str(_FETCH_BYTES))
        .set_property("fetch.max.bytes", str(4 * _FETCH_BYTES))
        .set_property("partition.discovery.interval.ms", "0")
        .build()
    )
    return environment.from_source(
        source, WatermarkStrategy.no_watermarks(), plan.uid(part), _BYTES
    ).uid(plan.uid(part))


def _sink(plan: JobPlan) -> KafkaSink:
    serializer = (
        KafkaRecordSerializationSchema.builder()
        .set_topic(plan.topic)
        .set_value_serialization_schema(ByteArraySchema())
        .build()
    )
    sink = (
        KafkaSink.builder()
        .set_bootstrap_servers(plan.brokers)
        .set_record_serializer(serializer)
        .set_property("linger.ms", "0")
        .set_property("compression.type", "lz4")
        .set_property("max.request.size", str(_FETCH_BYTES))
    )
    if plan.guarantee != EXACTLY_ONCE:
        return sink.set_delivery_guarantee(DeliveryGuarantee.AT_LEAST_ONCE).build()
    return (
        sink.set_delivery_guarantee(DeliveryGuarantee.EXACTLY_ONCE)
        .set_transactional_id_prefix(plan.transactions)
        .set_property("transaction.timeout.ms", str(TRANSACTION_TIMEOUT_MS))
        .build()
    )


class _ToAll:
    """Addresses an element to every share.

    Tasks are opened side by side in one interpreter, so all of them take the plan's code before
    they import any of it: a package that one found elsewhere would be the other's as well.
    """

    def __init__(self, digest: str, count: int) -> None:
        self._digest = digest
        self._count = count
        self._copies: Callable[[bytes, int], Iterable[bytes]] | None = None

    def __call__(self, raw: bytes) -> Iterable[bytes]:
        if self._copies is None:
            use(self._digest)
            from tickloop.streaming.flink.routes import copies

            self._copies = copies
        return self._copies(raw, self._count)


class _KeyOf:
    """Tells an element's key, of the plan's code as `_ToAll`."""

    def __init__(self, digest: str, keys: list[int]) -> None:
        self._digest = digest
        self._keys = keys
        self._key: Callable[[bytes], int] | None = None

    def __call__(self, raw: bytes) -> int:
        if self._key is None:
            use(self._digest)
            from tickloop.streaming.flink.routes import addressed

            self._key = addressed(self._keys)
        return self._key(raw)


class _Step:
    """Folds the shares that fall to one task; their state is kept key by key."""

    def __init__(self, plan: str, digest: str, keys: list[int]) -> None:
        self._plan = plan
        self._digest = digest
        self._keys = keys
        self._shares: dict[int, Share] = {}
        self._weights: dict[int, int] = {}

    def open(self, runtime_context: RuntimeContext) -> None:
        """Load the plan's code, its operator and the kernels."""
        use(self._digest)
        # Of the plan's own code from here on, whatever this process had loaded before.
        from tickloop.streaming.flink.share import opened

        self._content, self._make = opened(self._plan)
        kind = Types.PICKLED_BYTE_ARRAY()
        self._base = runtime_context.get_state(ValueStateDescriptor("base", kind))
        self._since = runtime_context.get_list_state(ListStateDescriptor("since", kind))

    def taken(self, key: int, value: bytes) -> Iterator[bytes]:
        """Take an element; give what follows from it."""
        share = self._shares.get(key)
        if share is None:
            share = self._shares[key] = self._restored(key)
        raw = self._content(bytes(value))
        yield from share.take(raw)
        self._keep(key, share, raw)

    def _restored(self, key: int) -> "Share":
        base = self._base.value()
        share: Share = self._make(self._keys.index(key), base)
        since = [] if base is None else list(self._since.get())
        share.replay(since)
        if share.adopt() or base is None:
            self._rebase(key, share)
        else:
            self._weights[key] = _SINCE_BYTES - sum(map(len, since))
        return share

    def _keep(self, key: int, share: "Share", raw: bytes) -> None:
        """Note a message, or take a new base once those since the last one are many."""
        self._weights[key] -= len(raw)
        if self._weights[key] < 0:
            self._rebase(key, share)
        else:
            self._since.add(raw)

    def _rebase(self, key: int, share: "Share") -> None:
        base, since = share.base()
        self._base.update(base)
        self._since.update(since)
        self._weights[key] = max(_SINCE_BYTES, len(base), sum(map(len, since)))


class OneInput(_Step, KeyedProcessFunction):  # type: ignore[misc]
    """A step whose shares all read everything."""

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Iterator[bytes]:
        """Take an element."""
        return self.taken(ctx.get_current_key(), value)


class TwoInputs(_Step, KeyedCoProcessFunction):  # type: ignore[misc]
    """A step whose shares read a shard each, and what everybody is told."""

    def process_element1(
        self, value: bytes, ctx: KeyedCoProcessFunction.Context
    ) -> Iterator[bytes]:
        """Take an element of a share's own."""
        return self.taken(ctx.get_current_key(), value)

    def process_element2(
        self, value: bytes, ctx: KeyedCoProcessFunction.Context
    ) -> Iterator[bytes]:
        """Take what everybody is told."""
        return self.taken(ctx.get_current_key(), value)
