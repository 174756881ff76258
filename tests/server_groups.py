"""Which tests use the same servers: a process runs a group of them, one after the other.

Else processes would stand in queues at the doors of servers that a test has to itself.
"""

from pathlib import PurePath

from xdist.scheduler.loadscope import LoadScopeScheduling

# The longest first: that is the order in which they are begun, if their files are given so.
GROUPS = {
    "mortal flink": ("test_flink_faults", "test_flink_own_tables", "test_distributed"),
    "flink": ("test_flink_operations", "test_flink_runtime", "test_flink_sql"),
    "kafka": ("test_kafka_sink", "test_kafka_second", "test_kafka_ledgers", "test_kafka_verify"),
    "questdb": ("test_questdb_route", "test_questdb_faults", "test_questdb_sink"),
    "mortal kafka": ("test_kafka_faults",),
}  # fmt: skip


def group_of(nodeid: str) -> str:
    """Name a test's group; who uses no server is a group of its own."""
    file = PurePath(nodeid.partition("::")[0]).stem
    return next((group for group, files in GROUPS.items() if file in files), nodeid)


class ByServer(LoadScopeScheduling):  # type: ignore[misc]
    """Gives whole groups to processes."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
