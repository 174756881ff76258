"""Columns of QuestDB's in the types that the same question has here."""

from typing import TYPE_CHECKING

from tickloop.core.errors import QueryError

if TYPE_CHECKING:
    import pyarrow as pa

_DUCK = {
    "int8": "TINYINT", "int16": "SMALLINT", "int32": "INTEGER", "int64": "BIGINT",
    "float": "FLOAT", "double": "DOUBLE", "bool": "BOOLEAN", "string": "VARCHAR",
    "date32[day]": "DATE",
}  # fmt: skip


def as_here(batch: "pa.RecordBatch", schema: "pa.Schema", *, cuts: bool) -> "pa.RecordBatch":
    """Give columns by position the names and types that the question has here.

    Instants lose the digits that the type here does not keep: cut, or rounded as DuckDB does.
    """
    import pyarrow as pa

    if len(batch.columns) != len(schema):
        raise QueryError(
            f"{len(batch.columns)} columns came from QuestDB, {len(schema)} expected"
            f" ({', '.join(schema.names)}): name them instead of *"
        )
    arrays = [
        _column(column, field, cuts) for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, names=schema.names)


def _column(column: "pa.Array", field: "pa.Field", cuts: bool) -> "pa.Array":
    import pyarrow as pa

    wanted = field.type
    try:
        if pa.types.is_timestamp(column.type):
            return _instants(column, wanted, cuts)
        if pa.types.is_integer(column.type) and pa.types.is_time(wanted):
            raise pa.ArrowInvalid("times of day are whole numbers there")
        return column.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise QueryError(
            f"column {field.name} is {column.type} in QuestDB and {wanted} here: {error}; CAST it"
        ) from error


def _instants(column: "pa.Array", wanted: "pa.DataType", cuts: bool) -> "pa.Array":
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_timestamp(wanted):
        if _UNITS[wanted.unit] > _UNITS[column.type.unit]:
            if column.type.unit == "ns" and wanted.unit == "us" and not cuts:
                column = pc.add(column, pa.scalar(500, pa.duration("ns")))
            unit = {"us": "microsecond", "ms": "millisecond", "s": "second"}[wanted.unit]
            column = pc.floor_temporal(column, unit=unit)
        return column.cast(pa.timestamp(wanted.unit, tz=column.type.tz)).cast(wanted)
    naive = column.cast(pa.timestamp(column.type.unit))
    return naive.cast(wanted)


_UNITS = {"ns": 0, "us": 1, "ms": 2, "s": 3}


def duck_type(kind: "pa.DataType") -> str:
    """Name a type as DuckDB does, for columns that only QuestDB knows of."""
    import pyarrow as pa

    if pa.types.is_timestamp(kind):
        return (
            "TIMESTAMP_NS" if kind.unit == "ns" and kind.tz is None else "TIMESTAMP WITH TIME ZONE"
        )
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    return _DUCK.get(str(kind), "VARCHAR")
