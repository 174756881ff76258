"""Drivers that run operators: in a batch, embedded in the plant, and on Apache Flink."""
