-- As-of join: every bar with the last value of a signal at the instant when the bar ended.
-- Reads the streams ${stream:bars} and ${signals:signals}; writes ${prefix}sql.asof.

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
  'properties.group.id' = '${prefix}sql.asof',
  'scan.startup.mode' = 'earliest-offset',
  'scan.watermark.idle-timeout' = '${idle:10} s',
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601'
);

CREATE TABLE signal (
  sym STRING,
  name STRING,
  `value` DOUBLE,
  `stream` STRING,
  cause_time TIMESTAMP_LTZ(9),
  ts AS CAST(cause_time AS TIMESTAMP_LTZ(3)),
  WATERMARK FOR ts AS ts - INTERVAL '0.001' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = '${prefix}signal.json',
  'properties.bootstrap.servers' = '${brokers}',
  'properties.group.id' = '${prefix}sql.asof',
  'scan.startup.mode' = 'earliest-offset',
  'scan.watermark.idle-timeout' = '${idle:10} s',
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601'
);

-- The last row of each symbol as of any instant.
CREATE VIEW last_signal AS
SELECT sym, ts, `value`
FROM (
  SELECT sym, ts, `value`, ROW_NUMBER() OVER (PARTITION BY sym ORDER BY ts DESC) AS place
  FROM signal
  WHERE `stream` = '${signals:signals}' AND name = '${name:mid}'
)
WHERE place = 1;

CREATE TABLE joined (
  ts TIMESTAMP_LTZ(3),
  sym STRING,
  seq BIGINT,
  `close` DOUBLE,
  signal_ts TIMESTAMP_LTZ(3),
  `value` DOUBLE
) WITH (
  'connector' = 'kafka',
  'topic' = '${prefix}sql.asof',
  'properties.bootstrap.servers' = '${brokers}',
  'key.format' = 'raw',
  'key.fields' = 'sym',
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601'
);

INSERT INTO joined
SELECT bar.ts, bar.sym, bar.seq, bar.`close`, last_signal.ts, last_signal.`value`
FROM bar
LEFT JOIN last_signal FOR SYSTEM_TIME AS OF bar.ts ON bar.sym = last_signal.sym
WHERE bar.`stream` = '${stream:bars}';
