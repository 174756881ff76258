CREATE TABLE "trade" (
  "time" timestamp with time zone,
  "sym" text,
  "price" double precision,
  "size" bigint,
  "side" text,
  "cond" text,
  "ex" text,
  "trade_id" bigint,
  "venue_time" timestamp with time zone,
  "seq" bigint,
  "time_ns" bigint,
  "venue_time_ns" bigint
);
CREATE TABLE "quote" (
  "time" timestamp with time zone,
  "sym" text,
  "bid" double precision,
  "ask" double precision,
  "bsize" bigint,
  "asize" bigint,
  "ex" text,
  "venue_time" timestamp with time zone,
  "seq" bigint,
  "time_ns" bigint,
  "venue_time_ns" bigint
);
CREATE TABLE "depth" (
  "time" timestamp with time zone,
  "sym" text,
  "side" text,
  "level" integer,
  "price" double precision,
  "size" bigint,
  "orders" integer,
  "ex" text,
  "venue_time" timestamp with time zone,
  "seq" bigint,
  "time_ns" bigint,
  "venue_time_ns" bigint
);
CREATE TABLE "book" (
  "time" timestamp with time zone,
  "sym" text,
  "action" text,
  "order_id" bigint,
  "side" text,
  "price" double precision,
  "size" bigint,
  "ref_order_id" bigint,
  "mpid" text,
  "ex" text,
  "venue_time" timestamp with time zone,
  "seq" bigint,
  "time_ns" bigint,
  "venue_time_ns" bigint
);
CREATE TABLE "status" (
  "time" timestamp with time zone,
  "sym" text,
  "state" text,
  "reason" text,
  "ex" text,
  "venue_time" timestamp with time zone,
  "seq" bigint,
  "time_ns" bigint,
  "venue_time_ns" bigint
);
CREATE TABLE "imbalance" (
  "time" timestamp with time zone,
  "sym" text,
  "paired" bigint,
  "imbalance" bigint,
  "side" text,
  "ref" double precision,
  "near" double precision,
  "far" double precision,
  "cross" text,
  "ex" text,
  "venue_time" timestamp with time zone,
  "seq" bigint,
  "time_ns" bigint,
  "venue_time_ns" bigint
);
CREATE TABLE "instrument" (
  "time" timestamp with time zone,
  "sym" text,
  "kind" text,
  "price_unit" integer,
  "size_unit" integer,
  "tick" double precision,
  "lot" double precision,
  "currency" text,
  "sector" text,
  "underlying" text,
  "expiry" date,
  "strike" double precision,
  "put_call" text,
  "seq" bigint,
  "time_ns" bigint
);
CREATE TABLE "clock" (
  "time" timestamp with time zone,
  "sym" text,
  "seq" bigint,
  "time_ns" bigint
);
CREATE TABLE "symbol" (
  "time" timestamp with time zone,
  "sym" text,
  "id" integer,
  "seq" bigint,
  "time_ns" bigint
);
CREATE TABLE "control" (
  "time" timestamp with time zone,
  "sym" text,
  "name" text,
  "value" double precision,
  "actor" text,
  "seq" bigint,
  "time_ns" bigint
);
CREATE TABLE "journal" (
  "time" timestamp with time zone,
  "sym" text,
  "version" integer,
  "plant" bigint,
  "epoch" bigint,
  "next_seq" bigint,
  "reserved" bigint,
  "schema_digest" bigint,
  "span_start" bigint,
  "span_end" bigint,
  "span_crc" bigint,
  "seq" bigint,
  "time_ns" bigint
);
CREATE TABLE "every" (
  "time" timestamp with time zone,
  "sym" text,
  "c_instant" timestamp with time zone,
  "c_span" bigint,
  "c_symbol" text,
  "c_price" double precision,
  "c_size" bigint,
  "c_float" double precision,
  "c_real" real,
  "c_long" bigint,
  "c_int" integer,
  "c_short" smallint,
  "c_byte" smallint,
  "c_flag" boolean,
  "c_char" text,
  "c_guid" uuid,
  "c_date" date,
  "c_month" date,
  "c_datetime" timestamp with time zone,
  "c_minute" time without time zone,
  "c_second" time without time zone,
  "c_milli" time without time zone,
  "c_text" text,
  "seq" bigint,
  "time_ns" bigint,
  "c_instant_ns" bigint
);
