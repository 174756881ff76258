"""The job as Flink sees it: sources, one keyed step, a sink. Only this module imports PyFlink."""

import sys
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
    KeyedStream,
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
from pyflink.java_gateway import get_gateway

from tickloop.streaming.flink.addressed import CLASS_NAME, JAVA
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
    step = plan.to_json(), plan.code_digest, keys
    shared = _source(plan, environment, "shared", everywhere)
    to_all = _addressed(shared, keys, plan.uid("to-all"), is_to_all=True)
    if own:
        # Two inputs of one step: a union would put another exchange between source and step.
        rows = _source(plan, environment, "rows", own)
        to_one = _addressed(rows, keys, plan.uid("to-one"), is_to_all=False)
        made = to_one.connect(to_all).process(TwoInputs(*step), _BYTES)
    else:
        made = to_all.process(OneInput(*step), _BYTES)
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


def _addressed(stream: DataStream, keys: list[int], uid: str, *, is_to_all: bool) -> KeyedStream:
    """Put the keys of their shares in front of elements, as `DataStream.key_by` would."""
    jvm = get_gateway().jvm
    numbers = get_gateway().new_array(jvm.int, len(keys))
    for share, key in enumerate(keys):
        numbers[share] = key
    references = get_gateway().new_array(jvm.Object, 2)
    references[0], references[1] = numbers, int(is_to_all)
    runtime = jvm.org.apache.flink.table.runtime
    code = runtime.generated.GeneratedOperator(
        CLASS_NAME, JAVA, references, jvm.org.apache.flink.configuration.Configuration()
    )
    environment = stream.get_execution_environment()
    step = jvm.org.apache.flink.streaming.api.transformations.OneInputTransformation(
        stream._j_data_stream.getTransformation(),
        uid,
        runtime.operators.CodeGenOperatorFactory(code),
        Types.ROW([Types.INT(), _BYTES]).get_java_type_info(),
        environment.get_parallelism(),
    )
    step.setUid(uid)
    made = jvm.org.apache.flink.streaming.api.datastream.DataStream(
        environment._j_stream_execution_environment, step
    )
    functions = jvm.org.apache.flink.streaming.api.functions.python
    keyed = made.keyBy(functions.KeyByKeySelector(), Types.ROW([Types.INT()]).get_java_type_info())
    return KeyedStream(keyed, _BYTES, stream)


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
        from tickloop.streaming.flink.former import settled
        from tickloop.streaming.flink.share import opened

        self._make, self._settled = opened(self._plan), settled
        kind = Types.PICKLED_BYTE_ARRAY()
        self._base = runtime_context.get_state(ValueStateDescriptor("base", kind))
        self._since = runtime_context.get_list_state(ListStateDescriptor("since", kind))

    def taken(self, key: int, value: bytes) -> list[bytes]:
        """Take an element; give what follows from it."""
        share = self._shares.get(key)
        if share is None:
            share = self._shares[key] = self._restored(key)
        raw = bytes(value)
        made = share.take(raw)
        self._keep(key, share, raw)
        return made

    def _restored(self, key: int) -> "Share":
        index, stored = self._keys.index(key), self._base.value()
        if stored is None:
            share: Share = self._make(index, None)
            self._rebase(key, share)
            return share
        taken = list(self._since.get())
        base, since = self._settled(self._digest, index, stored, taken)
        share = self._make(index, base)
        share.replay(since)
        if share.adopt() or not share.is_of(base):
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

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> list[bytes]:
        """Take an element."""
        return self.taken(ctx.get_current_key(), value)


class TwoInputs(_Step, KeyedCoProcessFunction):  # type: ignore[misc]
    """A step whose shares read a shard each, and what everybody is told."""

    def process_element1(self, value: bytes, ctx: KeyedCoProcessFunction.Context) -> list[bytes]:
        """Take an element of a share's own."""
        return self.taken(ctx.get_current_key(), value)

    def process_element2(self, value: bytes, ctx: KeyedCoProcessFunction.Context) -> list[bytes]:
        """Take what everybody is told."""
        return self.taken(ctx.get_current_key(), value)
