"""What an operator writes fits the tables that are there, or is refused with what does not fit."""

from collections.abc import Mapping

from tickloop.core.batch import Batch
from tickloop.core.errors import OperatorError, SchemaError
from tickloop.core.own_tables import declared, same
from tickloop.core.schema import Table
from tickloop.streaming.job import Job

# Tell a row apart from all others; no operator leaves them out.
_NEEDED = ("time", "cause_time", "cause", "ordinal")


def tables_of(job: Job, known: Mapping[str, Table], where: str) -> Mapping[str, Table]:
    """Give the tables that a job writes, as `where` has them; SchemaError for one that it has not.

    What an operator declares has to have the same columns there.
    """
    own = declared(job.operator)
    found: dict[str, Table] = {}
    for name in job.operator.outputs:
        there = known.get(name)
        if there is None:
            raise SchemaError(
                f"stream {job.name} writes {name}, which {where} does not have: declare it in the"
                f' operator, as own_tables = (own_table("{name}", {{"value": "float"}}),)'
            )
        if not there.is_derived:
            raise SchemaError(
                f"stream {job.name} writes {name}, which has no stream, cause_time, cause and"
                f' ordinal in {where}: make it with own_table("{name}", {{...}}) in the operator'
            )
        if name in own and not same(own[name], there):
            raise SchemaError(
                f"stream {job.name}: table {name} has {_spelled(own[name])} in the operator,"
                f" {_spelled(there)} in {where}, whose rows keep their columns: give the table"
                " another name in the operator, or take another --data directory"
            )
        found[name] = there
    return found


def check_rows(job: Job, rows: Batch, tables: Mapping[str, Table]) -> None:
    """Refuse rows that are not of the tables that a job writes; OperatorError."""
    table = tables.get(rows.table.name)
    if table is None:
        raise OperatorError(
            f"{job.operator.name} made rows of {rows.table.name}, which is not among its outputs"
            f" ({', '.join(tables)}); add it there"
        )
    if table is not rows.table and not same(table, rows.table):
        raise OperatorError(
            f"{job.operator.name} made rows of {table.name} with {_spelled(rows.table)},"
            f" {_spelled(table)} expected; make batches of the table that own_tables declares"
        )
    if missing := [name for name in _NEEDED if name not in rows.columns]:
        raise OperatorError(
            f"{job.operator.name} made rows of {table.name} without {', '.join(missing)}: derived"
            f" rows need {', '.join(_NEEDED)}"
        )
    lengths = {name: len(values) for name, values in rows.columns.items()}
    told = ", ".join(sorted(set(lengths) - set(table.names)))
    if not told and len(set(lengths.values())) > 1:
        told = f"lengths {lengths}"
    if told:
        raise OperatorError(
            f"{job.operator.name} made rows of {table.name} with {told}; columns of one length"
            f" expected, of {', '.join(table.names)}"
        )


def _spelled(table: Table) -> str:
    return "(" + ", ".join(f"{each.name} {each.kind.value}" for each in table.columns) + ")"
