"""The job as Flink sees it: sources, one keyed step, a sink. Only this module imports PyFlink."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

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
_SINCE_BYTES = 4 << 20


def submit(text: str) -> None:
    """Hand the job of a plan to the cluster that runs this."""
    plan = from_json(text)
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
    from tickloop.streaming.flink.routes import addressed, copies
    from tickloop.streaming.flink.share import count_of, job_of, reads_all
    from tickloop.tickerplant.sinks.kafka_names import Names

    job = job_of(plan, _operator(plan))
    count = count_of(plan, job)
    keys = [key_of(share, count, plan.max_parallelism) for share in range(count)]
    names = Names(plan.prefix)

    def to_all(raw: bytes) -> Iterable[bytes]:
        return copies(raw, count)

    everywhere = [names.symbols]
    own: list[str] = []
    for table in plan.inputs:
        (everywhere if reads_all(job) or table == "control" else own).append(names.table(table))
    shared = _source(plan, environment, "shared", everywhere)
    stream = shared.flat_map(to_all, _BYTES).uid(plan.uid("to-all"))
    if own:
        stream = stream.union(_source(plan, environment, "rows", own))
    made = (
        stream.key_by(addressed(keys), Types.INT())
        .process(Step(plan.to_json(), keys), _BYTES)
        .uid(plan.uid("fold"))
        .name(plan.name)
    )
    made.sink_to(_sink(plan)).uid(plan.uid("sink")).name(plan.topic)


def _operator(plan: JobPlan) -> str | None:
    """Say where a user's file lies within the unpacked code; None for an operator of a name."""
    folder = use(plan.code_digest)
    if not plan.path or folder is None:
        return None
    from tickloop.streaming.flink.package import OWN

    return str(folder / OWN / plan.path.rpartition("/")[2])


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


class Step(KeyedProcessFunction):  # type: ignore[misc]
    """Folds the shares that fall to one task; their state is kept key by key."""

    def __init__(self, plan: str, keys: list[int]) -> None:
        self._plan = plan
        self._keys = keys
        self._shares: dict[int, Share] = {}
        self._weights: dict[int, int] = {}

    def open(self, runtime_context: RuntimeContext) -> None:
        """Load the plan's code, its operator and the kernels."""
        plan = from_json(self._plan)
        operator = _operator(plan)
        from tickloop.core.kernel import warm_up
        from tickloop.streaming.flink.routes import content
        from tickloop.streaming.flink.share import Share, job_of

        job = job_of(plan, operator)
        warm_up()
        self._content = content
        self._make = partial(Share, plan, job)
        kind = Types.PICKLED_BYTE_ARRAY()
        self._base = runtime_context.get_state(ValueStateDescriptor("base", kind))
        self._since = runtime_context.get_list_state(ListStateDescriptor("since", kind))

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Iterator[bytes]:
        """Take an element; give what follows from it."""
        key: int = ctx.get_current_key()
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
