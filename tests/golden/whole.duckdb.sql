CREATE TABLE "trade" (
  "time" TIMESTAMP_NS,
  "sym" VARCHAR,
  "price" DOUBLE,
  "size" BIGINT,
  "side" VARCHAR,
  "cond" VARCHAR,
  "ex" VARCHAR,
  "trade_id" BIGINT,
  "venue_time" TIMESTAMP_NS,
  "seq" BIGINT
);
CREATE TABLE "quote" (
  "time" TIMESTAMP_NS,
  "sym" VARCHAR,
  "bid" DOUBLE,
  "ask" DOUBLE,
  "bsize" BIGINT,
  "asize" BIGINT,
  "ex" VARCHAR,
  "venue_time" TIMESTAMP_NS,
  "seq" BIGINT
);
CREATE TABLE "depth" (
  "time" TIMESTAMP_NS,
  "sym" VARCHAR,
  "side" VARCHAR,
  "level" INTEGER,
  "price" DOUBLE,
  "size" BIGINT,
  "orders" INTEGER,
  "ex" VARCHAR,
  "venue_time" TIMESTAMP_NS,
  "seq" BIGINT
);
CREATE TABLE "book" (
  "time" TIMESTAMP_NS,
  "sym" VARCHAR,
  "action" VARCHAR,
  "order_id" BIGINT,
  "side" VARCHAR,
  "price" DOUBLE,
  "size" BIGINT,
  "ref_order_id" BIGINT,
  "mpid" VARCHAR,
  "ex" VARCHAR,
  "venue_time" TIMESTAMP_NS,
  "seq" BIGINT
);
CREATE TABLE "status" (
  "time" TIMESTAMP_NS,
  "sym" VARCHAR,
  "state" VARCHAR,
  "reason" VARCHAR,
  "ex" VARCHAR,
  "venue_time" TIMESTAMP_NS,
  "seq" BIGINT
);
CREATE TABLE "imbalance" (
  "time" TIMESTAMP_NS,
  "sym" VARCHAR,
  "paired" BIGINT,
  "imbalance" BIGINT,
  "side" VARCHAR,
  "ref" DOUBLE,
  "near" DOUBLE,
  "far" DOUBLE,
  "cross" VARCHAR,
  "ex" VARCHAR,
  "venue_time" TIMESTAMP_NS,
  "seq" BIGINT
);
CREATE TABLE "instrument" (
  "time" TIMESTAMP_NS,
  "sym" VARCHAR,
  "kind" VARCHAR,
  "price_unit" INTEGER,
  "size_unit" INTEGER,
  "tick" DOUBLE,
  "lot" DOUBLE,
  "currency" VARCHAR,
  "sector" VARCHAR,
  "underlying" VARCHAR,
  "expiry" DATE,
  "strike" DOUBLE,
  "put_call" VARCHAR,
  "seq" BIGINT
);
CREATE TABLE "clock" (
  "time" TIMESTAMP_NS,
  "sym" VARCHAR,
  "seq" BIGINT
);
CREATE TABLE "symbol" (
  "time" TIMESTAMP_NS,
  "sym" VARCHAR,
  "id" INTEGER,
  "seq" BIGINT
);
CREATE TABLE "control" (
  "time" TIMESTAMP_NS,
  "sym" VARCHAR,
  "name" VARCHAR,
  "value" DOUBLE,
  "actor" VARCHAR,
  "seq" BIGINT
);
CREATE TABLE "journal" (
  "time" TIMESTAMP_NS,
  "sym" VARCHAR,
  "version" INTEGER,
  "plant" BIGINT,
  "epoch" BIGINT,
  "next_seq" BIGINT,
  "reserved" BIGINT,
  "schema_digest" BIGINT,
  "span_start" BIGINT,
  "span_end" BIGINT,
  "span_crc" BIGINT,
  "seq" BIGINT
);
CREATE TABLE "bar" (
  "time" TIMESTAMP_NS,
  "sym" VARCHAR,
  "interval" BIGINT,
  "open" DOUBLE,
  "high" DOUBLE,
  "low" DOUBLE,
  "close" DOUBLE,
  "volume" BIGINT,
  "vwap" DOUBLE,
  "count" BIGINT,
  "start" TIMESTAMP_NS,
  "spread" DOUBLE,
  "imbalance" DOUBLE,
  "kind" VARCHAR,
  "threshold" DOUBLE,
  "stream" VARCHAR,
  "cause_time" TIMESTAMP_NS,
  "cause" BIGINT,
  "ordinal" BIGINT,
  "seq" BIGINT
);
CREATE TABLE "signal" (
  "time" TIMESTAMP_NS,
  "sym" VARCHAR,
  "name" VARCHAR,
  "value" DOUBLE,
  "stream" VARCHAR,
  "cause_time" TIMESTAMP_NS,
  "cause" BIGINT,
  "ordinal" BIGINT,
  "seq" BIGINT
);
CREATE TABLE "quality" (
  "time" TIMESTAMP_NS,
  "sym" VARCHAR,
  "interval" BIGINT,
  "rows" BIGINT,
  "trades" BIGINT,
  "quotes" BIGINT,
  "rate" DOUBLE,
  "gaps" BIGINT,
  "silence" BIGINT,
  "symbols" BIGINT,
  "stale" BIGINT,
  "crossed" BIGINT,
  "locked" BIGINT,
  "disorder" BIGINT,
  "delay_p50" BIGINT,
  "delay_p99" BIGINT,
  "delay_max" BIGINT,
  "stream" VARCHAR,
  "cause_time" TIMESTAMP_NS,
  "cause" BIGINT,
  "ordinal" BIGINT,
  "seq" BIGINT
);
CREATE TABLE "delay" (
  "time" TIMESTAMP_NS,
  "sym" VARCHAR,
  "interval" BIGINT,
  "above" BIGINT,
  "below" BIGINT,
  "count" BIGINT,
  "stream" VARCHAR,
  "cause_time" TIMESTAMP_NS,
  "cause" BIGINT,
  "ordinal" BIGINT,
  "seq" BIGINT
);
CREATE TABLE "every" (
  "time" TIMESTAMP_NS,
  "sym" VARCHAR,
  "c_instant" TIMESTAMP_NS,
  "c_span" BIGINT,
  "c_symbol" VARCHAR,
  "c_price" DOUBLE,
  "c_size" BIGINT,
  "c_float" DOUBLE,
  "c_real" FLOAT,
  "c_long" BIGINT,
  "c_int" INTEGER,
  "c_short" SMALLINT,
  "c_byte" UTINYINT,
  "c_flag" BOOLEAN,
  "c_char" VARCHAR,
  "c_guid" UUID,
  "c_date" DATE,
  "c_month" DATE,
  "c_datetime" TIMESTAMP_NS,
  "c_minute" TIME,
  "c_second" TIME,
  "c_milli" TIME,
  "c_text" VARCHAR,
  "seq" BIGINT
);
