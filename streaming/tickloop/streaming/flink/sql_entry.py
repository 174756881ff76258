"""What Flink runs of a SQL job: one argument, its plan as JSON; it travels to the cluster alone."""

import json
import re
import sys

_SET = re.compile(r"SET\s+'([^']+)'\s*=\s*'([^']*)'", re.IGNORECASE)


def main(arguments: list[str]) -> None:
    """Submit a plan's statements: what they insert runs together, as one job."""
    from pyflink.datastream import StreamExecutionEnvironment
    from pyflink.table import StreamTableEnvironment

    (text,) = arguments
    tables = StreamTableEnvironment.create(StreamExecutionEnvironment.get_execution_environment())
    inserts = tables.create_statement_set()
    for statement in json.loads(text)["statements"]:
        if setting := _SET.fullmatch(statement):
            tables.get_config().set(setting[1], setting[2])
        elif statement[:6].upper() == "INSERT":
            inserts.add_insert_sql(statement)
        else:
            tables.execute_sql(statement)
    inserts.execute()


if __name__ == "__main__":
    main(sys.argv[1:])
