"""Bars of one second as others write them for Flink: an event at a time, and as a SQL query."""

import json
import sys
from collections.abc import Iterator

from pyflink.common import SimpleStringSchema, Types, WatermarkStrategy
from pyflink.datastream import KeyedProcessFunction, RuntimeContext, StreamExecutionEnvironment
from pyflink.datastream.connectors.kafka import (
    KafkaOffsetsInitializer,
    KafkaRecordSerializationSchema,
    KafkaSink,
    KafkaSource,
)
from pyflink.datastream.state import ValueStateDescriptor
from pyflink.table import StreamTableEnvironment

_SOURCE = """CREATE TABLE trade (
  sym STRING, price DOUBLE, size BIGINT, ms BIGINT,
  ts AS TO_TIMESTAMP_LTZ(ms, 3), WATERMARK FOR ts AS ts
) WITH ('connector' = 'kafka', 'topic' = '{given}', 'properties.bootstrap.servers' = '{brokers}',
  'scan.startup.mode' = 'earliest-offset', 'format' = 'json')"""
_RESULT = """CREATE TABLE bar (
  ms BIGINT, sym STRING, o DOUBLE, h DOUBLE, l DOUBLE, c DOUBLE, volume BIGINT, vwap DOUBLE
) WITH ('connector' = 'kafka', 'topic' = '{made}', 'properties.bootstrap.servers' = '{brokers}',
  'format' = 'json')"""
_BARS = """INSERT INTO bar SELECT MAX(ms) / 1000 * 1000, sym, FIRST_VALUE(price), MAX(price),
  MIN(price), LAST_VALUE(price), SUM(size), SUM(price * size) / SUM(size)
FROM TABLE(TUMBLE(TABLE trade, DESCRIPTOR(ts), INTERVAL '1' SECOND))
GROUP BY window_start, window_end, sym"""


class Bars(KeyedProcessFunction):  # type: ignore[misc]
    """Keeps one symbol's bar as a value, as examples do."""

    def open(self, runtime_context: RuntimeContext) -> None:
        kind = Types.PICKLED_BYTE_ARRAY()
        self._bar = runtime_context.get_state(ValueStateDescriptor("bar", kind))

    def process_element(
        self, value: dict[str, float], ctx: KeyedProcessFunction.Context
    ) -> Iterator[str]:
        price, size, second = value["price"], value["size"], int(value["ms"]) // 1000
        bar = self._bar.value()
        if bar is not None and bar[0] < second:
            yield json.dumps({
                "ms": bar[0] * 1000, "sym": value["sym"], "o": bar[1], "h": bar[2], "l": bar[3],
                "c": bar[4], "volume": bar[5], "vwap": bar[6] / bar[5],
            })  # fmt: skip
            bar = None
        if bar is None:
            bar = (second, price, price, price, price, 0, 0.0)
        self._bar.update((
            second, bar[1], max(bar[2], price), min(bar[3], price), price, bar[5] + size,
            bar[6] + price * size,
        ))  # fmt: skip


def textbook(environment: StreamExecutionEnvironment, brokers: str, given: str, made: str) -> None:
    """Submit the job of one Python call an event."""
    source = (
        KafkaSource.builder()
        .set_bootstrap_servers(brokers)
        .set_topics(given)
        .set_starting_offsets(KafkaOffsetsInitializer.earliest())
        .set_value_only_deserializer(SimpleStringSchema())
        .build()
    )
    schema = SimpleStringSchema()
    serializer = (
        KafkaRecordSerializationSchema.builder()
        .set_topic(made)
        .set_value_serialization_schema(schema)
        .build()
    )
    sink = KafkaSink.builder().set_bootstrap_servers(brokers).set_record_serializer(serializer)
    (
        environment.from_source(source, WatermarkStrategy.no_watermarks(), "trades")
        .map(json.loads)
        .key_by(lambda trade: trade["sym"], Types.STRING())
        .process(Bars(), Types.STRING())
        .sink_to(sink.build())
    )
    environment.execute("textbook")


def main(which: str, brokers: str, given: str, made: str) -> None:
    """Submit one of both."""
    environment = StreamExecutionEnvironment.get_execution_environment()
    environment.set_parallelism(1)
    if which == "textbook":
        textbook(environment, brokers, given, made)
        return
    tables = StreamTableEnvironment.create(environment)
    names = {"brokers": brokers, "given": given, "made": made}
    for statement in (_SOURCE, _RESULT, _BARS):
        tables.execute_sql(statement.format(**names))


if __name__ == "__main__":
    main(*sys.argv[1:])
