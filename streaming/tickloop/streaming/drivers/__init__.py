"""Runtimes of one operator, in files of one shape: in a batch, embedded in the plant."""
