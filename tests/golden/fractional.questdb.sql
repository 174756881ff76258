CREATE TABLE IF NOT EXISTS trade (
  time TIMESTAMP_NS,
  sym SYMBOL CAPACITY 16384 CACHE,
  price DOUBLE,
  size DOUBLE,
  side CHAR,
  cond SYMBOL CAPACITY 16384 CACHE,
  ex SYMBOL CAPACITY 16384 CACHE,
  trade_id LONG,
  venue_time TIMESTAMP_NS,
  seq LONG
) TIMESTAMP(time) PARTITION BY DAY WAL DEDUP UPSERT KEYS(time, sym, seq);
CREATE TABLE IF NOT EXISTS quote (
  time TIMESTAMP_NS,
  sym SYMBOL CAPACITY 16384 CACHE,
  bid DOUBLE,
  ask DOUBLE,
  bsize DOUBLE,
  asize DOUBLE,
  ex SYMBOL CAPACITY 16384 CACHE,
  venue_time TIMESTAMP_NS,
  seq LONG
) TIMESTAMP(time) PARTITION BY DAY WAL DEDUP UPSERT KEYS(time, sym, seq);
CREATE TABLE IF NOT EXISTS depth (
  time TIMESTAMP_NS,
  sym SYMBOL CAPACITY 16384 CACHE,
  side CHAR,
  level INT,
  price DOUBLE,
  size DOUBLE,
  orders INT,
  ex SYMBOL CAPACITY 16384 CACHE,
  venue_time TIMESTAMP_NS,
  seq LONG
) TIMESTAMP(time) PARTITION BY DAY WAL DEDUP UPSERT KEYS(time, sym, seq);
CREATE TABLE IF NOT EXISTS book (
  time TIMESTAMP_NS,
  sym SYMBOL CAPACITY 16384 CACHE,
  action CHAR,
  order_id LONG,
  side CHAR,
  price DOUBLE,
  size DOUBLE,
  ref_order_id LONG,
  mpid SYMBOL CAPACITY 16384 CACHE,
  ex SYMBOL CAPACITY 16384 CACHE,
  venue_time TIMESTAMP_NS,
  seq LONG
) TIMESTAMP(time) PARTITION BY DAY WAL DEDUP UPSERT KEYS(time, sym, seq);
CREATE TABLE IF NOT EXISTS status (
  time TIMESTAMP_NS,
  sym SYMBOL CAPACITY 16384 CACHE,
  state SYMBOL CAPACITY 16384 CACHE,
  reason SYMBOL CAPACITY 16384 CACHE,
  ex SYMBOL CAPACITY 16384 CACHE,
  venue_time TIMESTAMP_NS,
  seq LONG
) TIMESTAMP(time) PARTITION BY DAY WAL DEDUP UPSERT KEYS(time, sym, seq);
CREATE TABLE IF NOT EXISTS imbalance (
  time TIMESTAMP_NS,
  sym SYMBOL CAPACITY 16384 CACHE,
  paired DOUBLE,
  imbalance DOUBLE,
  side CHAR,
  ref DOUBLE,
  near DOUBLE,
  far DOUBLE,
  cross CHAR,
  ex SYMBOL CAPACITY 16384 CACHE,
  venue_time TIMESTAMP_NS,
  seq LONG
) TIMESTAMP(time) PARTITION BY DAY WAL DEDUP UPSERT KEYS(time, sym, seq);
CREATE TABLE IF NOT EXISTS instrument (
  time TIMESTAMP_NS,
  sym SYMBOL CAPACITY 16384 CACHE,
  kind SYMBOL CAPACITY 16384 CACHE,
  price_unit INT,
  size_unit INT,
  tick DOUBLE,
  lot DOUBLE,
  currency SYMBOL CAPACITY 16384 CACHE,
  sector SYMBOL CAPACITY 16384 CACHE,
  underlying SYMBOL CAPACITY 16384 CACHE,
  expiry TIMESTAMP_NS,
  strike DOUBLE,
  put_call CHAR,
  seq LONG
) TIMESTAMP(time) PARTITION BY DAY WAL DEDUP UPSERT KEYS(time, sym, seq);
CREATE TABLE IF NOT EXISTS clock (
  time TIMESTAMP_NS,
  sym SYMBOL CAPACITY 16384 CACHE,
  seq LONG
) TIMESTAMP(time) PARTITION BY DAY WAL DEDUP UPSERT KEYS(time, sym, seq);
CREATE TABLE IF NOT EXISTS symbol (
  time TIMESTAMP_NS,
  sym SYMBOL CAPACITY 16384 CACHE,
  id INT,
  seq LONG
) TIMESTAMP(time) PARTITION BY DAY WAL DEDUP UPSERT KEYS(time, sym, seq);
CREATE TABLE IF NOT EXISTS control (
  time TIMESTAMP_NS,
  sym SYMBOL CAPACITY 16384 CACHE,
  name SYMBOL CAPACITY 16384 CACHE,
  value DOUBLE,
  actor SYMBOL CAPACITY 16384 CACHE,
  seq LONG
) TIMESTAMP(time) PARTITION BY DAY WAL DEDUP UPSERT KEYS(time, sym, seq);
CREATE TABLE IF NOT EXISTS journal (
  time TIMESTAMP_NS,
  sym SYMBOL CAPACITY 16384 CACHE,
  version INT,
  plant LONG,
  epoch LONG,
  next_seq LONG,
  reserved LONG,
  schema_digest LONG,
  span_start LONG,
  span_end LONG,
  span_crc LONG,
  seq LONG
) TIMESTAMP(time) PARTITION BY DAY WAL DEDUP UPSERT KEYS(time, sym, seq);
CREATE TABLE IF NOT EXISTS bar (
  time TIMESTAMP_NS,
  sym SYMBOL CAPACITY 16384 CACHE,
  interval LONG,
  open DOUBLE,
  high DOUBLE,
  low DOUBLE,
  close DOUBLE,
  volume DOUBLE,
  vwap DOUBLE,
  count LONG,
  start TIMESTAMP_NS,
  spread DOUBLE,
  imbalance DOUBLE,
  kind CHAR,
  threshold DOUBLE,
  stream SYMBOL CAPACITY 16384 CACHE,
  cause_time TIMESTAMP_NS,
  cause LONG,
  ordinal LONG,
  seq LONG
) TIMESTAMP(time) PARTITION BY DAY WAL DEDUP UPSERT KEYS(time, sym, seq);
CREATE TABLE IF NOT EXISTS signal (
  time TIMESTAMP_NS,
  sym SYMBOL CAPACITY 16384 CACHE,
  name SYMBOL CAPACITY 16384 CACHE,
  value DOUBLE,
  stream SYMBOL CAPACITY 16384 CACHE,
  cause_time TIMESTAMP_NS,
  cause LONG,
  ordinal LONG,
  seq LONG
) TIMESTAMP(time) PARTITION BY DAY WAL DEDUP UPSERT KEYS(time, sym, seq);
CREATE TABLE IF NOT EXISTS quality (
  time TIMESTAMP_NS,
  sym SYMBOL CAPACITY 16384 CACHE,
  interval LONG,
  rows LONG,
  trades LONG,
  quotes LONG,
  rate DOUBLE,
  gaps LONG,
  silence LONG,
  symbols LONG,
  stale LONG,
  crossed LONG,
  locked LONG,
  disorder LONG,
  delay_p50 LONG,
  delay_p99 LONG,
  delay_max LONG,
  stream SYMBOL CAPACITY 16384 CACHE,
  cause_time TIMESTAMP_NS,
  cause LONG,
  ordinal LONG,
  seq LONG
) TIMESTAMP(time) PARTITION BY DAY WAL DEDUP UPSERT KEYS(time, sym, seq);
CREATE TABLE IF NOT EXISTS delay (
  time TIMESTAMP_NS,
  sym SYMBOL CAPACITY 16384 CACHE,
  interval LONG,
  above LONG,
  below LONG,
  count LONG,
  stream SYMBOL CAPACITY 16384 CACHE,
  cause_time TIMESTAMP_NS,
  cause LONG,
  ordinal LONG,
  seq LONG
) TIMESTAMP(time) PARTITION BY DAY WAL DEDUP UPSERT KEYS(time, sym, seq);
CREATE TABLE IF NOT EXISTS every (
  time TIMESTAMP_NS,
  sym SYMBOL CAPACITY 16384 CACHE,
  c_instant TIMESTAMP_NS,
  c_span LONG,
  c_symbol SYMBOL CAPACITY 16384 CACHE,
  c_price DOUBLE,
  c_size DOUBLE,
  c_float DOUBLE,
  c_real FLOAT,
  c_long LONG,
  c_int INT,
  c_short INT,
  c_byte INT,
  c_flag BOOLEAN,
  c_char CHAR,
  c_guid UUID,
  c_date TIMESTAMP_NS,
  c_month TIMESTAMP_NS,
  c_datetime TIMESTAMP_NS,
  c_minute INT,
  c_second INT,
  c_milli INT,
  c_text VARCHAR,
  seq LONG
) TIMESTAMP(time) PARTITION BY DAY WAL DEDUP UPSERT KEYS(time, sym, seq);
