-- Pattern: at least ${falls:3} bars in a row that close lower, then one that closes higher.
-- Reads the bars of the stream ${stream:bars}; writes ${prefix}sql.reversal.

CREATE TABLE bar (
  sym STRING,
  `close` DOUBLE,
  `stream` STRING,
  cause_time TIMESTAMP_LTZ(9),
  seq BIGINT,
  -- Rows of one partition come in the order of the log; several have one instant.
  ts AS CAST(cause_time AS TIMESTAMP_LTZ(3)),
  WATERMARK FOR ts AS ts - INTERVAL '0.001' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = '${prefix}bar.json',
  'properties.bootstrap.servers' = '${brokers}',
  'properties.group.id' = '${prefix}sql.reversal',
  'scan.startup.mode' = 'earliest-offset',
  'scan.watermark.idle-timeout' = '${idle:10} s',
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601'
);

CREATE TABLE reversal (
  sym STRING,
  fell_from TIMESTAMP_LTZ(3),
  rose_at TIMESTAMP_LTZ(3),
  falls BIGINT,
  high DOUBLE,
  low DOUBLE,
  `close` DOUBLE,
  seq BIGINT
) WITH (
  'connector' = 'kafka',
  'topic' = '${prefix}sql.reversal',
  'properties.bootstrap.servers' = '${brokers}',
  'key.format' = 'raw',
  'key.fields' = 'sym',
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601'
);

INSERT INTO reversal
SELECT sym, fell_from, rose_at, falls, high, low, `close`, seq
FROM (SELECT sym, `close`, ts, seq FROM bar WHERE `stream` = '${stream:bars}')
MATCH_RECOGNIZE (
  PARTITION BY sym
  ORDER BY ts
  MEASURES
    FIRST(peak.ts) AS fell_from,
    rise.ts AS rose_at,
    COUNT(fall.`close`) AS falls,
    FIRST(peak.`close`) AS high,
    LAST(fall.`close`) AS low,
    rise.`close` AS `close`,
    rise.seq AS seq
  ONE ROW PER MATCH
  AFTER MATCH SKIP TO LAST rise
  PATTERN (peak fall{${falls:3},} rise)
  DEFINE
    fall AS fall.`close` < LAST(fall.`close`, 1) OR (LAST(fall.`close`, 1) IS NULL AND fall.`close` < peak.`close`),
    rise AS rise.`close` > LAST(fall.`close`)
);
