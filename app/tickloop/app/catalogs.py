"""The tables of a configuration: Tickloop's, those that it adds, those that streams write."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from tickloop.core.catalog import Catalog
from tickloop.core.config import Config
from tickloop.core.errors import SchemaError
from tickloop.core.own_tables import declared, same
from tickloop.core.schema import Table
from tickloop.core.user_tables import from_q, from_toml
from tickloop.streaming.finding import find
from tickloop.streaming.fitting import tables_of
from tickloop.streaming.job import Job

OPERATOR = "operator"  # the key of a [stream.NAME] section that is no parameter


def catalog_of(config: Config, *, fractional: bool, brought: Iterable[Table] = ()) -> Catalog:
    """Give the built-in tables, and those that the configuration and its streams add.

    Those that a feed has `brought` come last, under names that are not there yet. SchemaError where
    two others have one name and other columns.
    """
    tables = {table.name: table for table in _written(config)}
    for name, table in _streams(config):
        there = tables.setdefault(table.name, table)
        if not same(there, table):
            raise SchemaError(
                f"stream {name} writes table {table.name} ({', '.join(table.names)}), which another"
                f" stream or the configuration has with {', '.join(there.names)}: give one of them"
                " another name"
            )
    catalog = Catalog(fractional=fractional or config.store.fractional)
    mine = catalog.with_user_tables(tables.values())
    return mine.with_user_tables([table for table in brought if table.name not in mine])


def _written(config: Config) -> list[Table]:
    tables = from_toml(config.tables)
    if config.schema:
        tables += from_q(Path(config.schema))
    # Tables named twice are refused by name.
    Catalog().with_user_tables(tables)
    return tables


def _streams(config: Config) -> Iterator[tuple[str, Table]]:
    for name, section in config.stream.items():
        for table in declared(find(str(section.get(OPERATOR, name)))).values():
            yield name, table


def tables_for(config: Config, job: Job) -> list[Table]:
    """Give the tables that a job reads and writes; SchemaError for one that nobody declares."""
    known = {**catalog_of(config, fractional=False).by_name, **declared(job.operator)}
    for name in job.operator.tables:
        if name not in known:
            raise SchemaError(
                f"stream {job.name} reads {name}, which is no table here: add [tables.{name}] to"
                " the configuration, or the [stream.NAME] section of the operator that writes it"
            )
    written = tables_of(job, known, "the configuration")
    return [*(known[name] for name in job.operator.tables), *written.values()]
