"""What is told of a statement that failed: what DuckDB said, and what there is to ask for."""

import re
from collections.abc import Mapping

from tickloop.analytics.arrow_parts import DATE
from tickloop.analytics.statement import Reading
from tickloop.core.errors import QueryError
from tickloop.core.schema import Table


def query_error(error: Exception, tables: Mapping[str, Table], need: Reading) -> QueryError:
    """Add what there is to what DuckDB said; it only knows what the statement named."""
    text = str(error)
    if "Table with name" in text:
        return QueryError(f"{text}\nTables: {', '.join(sorted(tables))}")
    if "Binder Error" in text and "column" in text.lower():
        text = re.sub(r"\nCandidate bindings: .*", "", text)
        listed = [
            f"{name} has: {', '.join((DATE, *table.names))}"
            for name, table in sorted(tables.items())
            if name.lower() in need.filters
        ]
        return QueryError("\n".join([text, *listed]))
    return QueryError(text)
