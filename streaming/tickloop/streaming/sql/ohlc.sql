-- Longer bars from short ones: OHLC, volume and VWAP by symbol over windows of event time.
-- Reads the bars by time of the stream ${stream:bars}; writes ${prefix}sql.ohlc.

CREATE TABLE bar (
  sym STRING,
  `open` DOUBLE,
  high DOUBLE,
  low DOUBLE,
  `close` DOUBLE,
  volume BIGINT,
  vwap DOUBLE,
  `count` BIGINT,
  `start` TIMESTAMP_LTZ(9),
  kind STRING,
  `stream` STRING,
  seq BIGINT,
  began AS CAST(`start` AS TIMESTAMP_LTZ(3)),
  -- Bars of one interval end within one beat of the plant's clock.
  WATERMARK FOR began AS began - INTERVAL '${late:2}' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = '${prefix}bar.json',
  'properties.bootstrap.servers' = '${brokers}',
  'properties.group.id' = '${prefix}sql.ohlc',
  'scan.startup.mode' = 'earliest-offset',
  'scan.watermark.idle-timeout' = '${idle:10} s',
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601'
);

CREATE TABLE ohlc (
  `start` TIMESTAMP_LTZ(3),
  sym STRING,
  `open` DOUBLE,
  high DOUBLE,
  low DOUBLE,
  `close` DOUBLE,
  volume BIGINT,
  vwap DOUBLE,
  `count` BIGINT
) WITH (
  'connector' = 'kafka',
  'topic' = '${prefix}sql.ohlc',
  'properties.bootstrap.servers' = '${brokers}',
  'key.format' = 'raw',
  'key.fields' = 'sym',
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601'
);

INSERT INTO ohlc
SELECT
  CAST(window_start AS TIMESTAMP_LTZ(3)),
  sym,
  FIRST_VALUE(`open`),
  MAX(high),
  MIN(low),
  LAST_VALUE(`close`),
  SUM(volume),
  SUM(vwap * volume) / SUM(volume),
  SUM(`count`)
FROM TABLE(TUMBLE(TABLE bar, DESCRIPTOR(began), INTERVAL '${minutes:5}' MINUTES))
WHERE `stream` = '${stream:bars}' AND kind = 'T' AND volume > 0
GROUP BY window_start, window_end, sym;
