"""QuestDB's words for a syntax tree: its types, its functions of time, its joins."""

from typing import Any

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB

from tickloop.analytics.questdb.forms import MARK

_TYPES = {
    exp.DataType.Type.BIGINT: "LONG",
    exp.DataType.Type.INT: "INT",
    exp.DataType.Type.SMALLINT: "INT",
    exp.DataType.Type.TINYINT: "INT",
    exp.DataType.Type.UTINYINT: "INT",
    exp.DataType.Type.DOUBLE: "DOUBLE",
    exp.DataType.Type.FLOAT: "FLOAT",
    exp.DataType.Type.DECIMAL: "DOUBLE",
    exp.DataType.Type.TEXT: "VARCHAR",
    exp.DataType.Type.VARCHAR: "VARCHAR",
    exp.DataType.Type.BOOLEAN: "BOOLEAN",
    exp.DataType.Type.UUID: "UUID",
    exp.DataType.Type.TIMESTAMP: "TIMESTAMP",
    exp.DataType.Type.TIMESTAMPNTZ: "TIMESTAMP",
    exp.DataType.Type.TIMESTAMPTZ: "TIMESTAMP",
    exp.DataType.Type.TIMESTAMP_NS: "TIMESTAMP_NS",
}
# Units of spans, as timestamp_floor and dateadd name them.
UNITS = {
    "NANOSECOND": "n", "MICROSECOND": "u", "MILLISECOND": "T", "SECOND": "s", "MINUTE": "m",
    "HOUR": "h", "DAY": "d", "WEEK": "w", "MONTH": "M", "YEAR": "y",
}  # fmt: skip


def call(name: str, *arguments: Any) -> exp.Expression:
    """Make a call of a function of QuestDB's."""
    return exp.Anonymous(this=name, expressions=list(arguments))


class QuestDb(DuckDB):  # type: ignore[misc]
    """Reads what DuckDB reads, and writes what QuestDB reads."""

    class Generator(DuckDB.Generator):  # type: ignore[misc]
        """Spells trees that were translated; `clauses` are what was set aside."""

        QUERY_HINTS = True
        clauses: tuple[str, ...] = ()

        def datatype_sql(self, expression: exp.DataType) -> str:
            """Spell a type."""
            return str(_TYPES.get(expression.this) or super().datatype_sql(expression))

        def cast_sql(self, expression: exp.Cast, safe_prefix: str | None = None) -> str:
            """Spell a cast the way that QuestDB takes with every type."""
            return f"CAST({self.sql(expression, 'this')} AS {self.sql(expression, 'to')})"

        def group_sql(self, expression: exp.Group) -> str:
            """Put a clause back in its place."""
            first = expression.expressions[0] if expression.expressions else None
            if isinstance(first, exp.Anonymous) and first.name.lower() == MARK:
                return f" {self.clauses[int(first.expressions[0].name)]}"
            return str(super().group_sql(expression))

        def anonymous_sql(self, expression: exp.Anonymous) -> str:
            """Keep a function's name as it was written."""
            listed = ", ".join(self.sql(one) for one in expression.expressions)
            return f"{expression.name}({listed})"

        def hint_sql(self, expression: exp.Hint) -> str:
            """Put a hint back as it was written."""
            return f" /*+ {expression.expressions[0].name} */"

        def limit_sql(self, expression: exp.Limit, top: bool = False) -> str:
            """Spell LIMIT."""
            return f" LIMIT {self.sql(expression, 'expression')}"


def spelled(tree: exp.Expression, clauses: tuple[str, ...]) -> str:
    """Spell a translated tree."""
    generator = QuestDb.Generator(dialect=QuestDb(), comments=False, normalize_functions=False)
    generator.clauses = clauses
    return str(generator.generate(tree))
