"""Runtimes of one operator, in files of one shape: a batch, the plant, a Flink cluster."""
