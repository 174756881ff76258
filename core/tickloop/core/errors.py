"""The error tree: the world misbehaving, each kind with its own name."""


class TickloopError(Exception):
    """Something outside the program is wrong; the text says seen, expected, where and what next."""


class ConfigError(TickloopError):
    """The configuration was refused."""


class FeedError(TickloopError):
    """A feed's bytes are damaged; everything good before the damage was kept."""


class SchemaError(TickloopError):
    """A table, column or value does not fit the schema."""


class RangeError(SchemaError):
    """A number does not survive the round trip between its inside and its surface form."""


class JournalError(TickloopError):
    """The journal cannot be read or written."""


class CorruptJournalError(JournalError):
    """The journal's bytes are not what was written."""


class WireError(TickloopError):
    """Bytes from a peer are not the protocol that was expected."""


class LoginError(WireError):
    """A server let nobody in under this name and password."""


class StoreError(TickloopError):
    """A table on disk cannot be read or written."""


class DataDirectoryError(TickloopError):
    """A data directory is missing, locked, foreign or in the wrong state."""


class QueryError(TickloopError):
    """A query cannot be answered."""


class ServerError(TickloopError):
    """A server beside the plant (Kafka, QuestDB, Flink) cannot be installed, started or reached."""


class ServerAwayError(ServerError):
    """A server that does not answer: whether it did what it was asked for is not known."""


class SinkError(TickloopError):
    """A sink cannot take rows: a schema drifted, a topic is another plant's, a cursor lies."""


class SinkAwayError(SinkError):
    """A sink's server does not answer now; rows wait in the journal and it is tried again."""


class OperatorError(TickloopError):
    """A stream's operator cannot be found, loaded or run."""


class JobError(OperatorError):
    """A job on a cluster is refused, does not run, or failed to start."""


class SnapshotError(OperatorError):
    """A state's bytes cannot be read, or belong to something else."""
