"""What q's console prints for a value: lists by lines, tables by columns, cut to its size."""

from collections.abc import Sequence

from tickloop.analytics.q.console_cells import cells
from tickloop.analytics.q.spell import spell
from tickloop.analytics.q.values import (
    Dictionary,
    Enumerated,
    List,
    Nil,
    QType,
    Table,
    Value,
    Vector,
    count_of,
    items_of,
    plain,
)

# Rows of such vectors are shown as they are spelled, not spread over columns.
_DENSE = frozenset({QType.CHAR, QType.BOOLEAN, QType.BYTE})
CUT = ".."


def show(value: Value, *, rows: int = 25, columns: int = 80, precision: int = 7) -> str:
    """Give the console's text of a value, without an end of line after it; '' for the null."""
    if isinstance(value, Nil):
        return ""
    return _Console(rows, columns, precision).text(value)


class _Console:
    """The size of a console: how many lines and characters of a value it has room for."""

    def __init__(self, rows: int, columns: int, precision: int) -> None:
        # The prompt and the line typed after it need two of the rows, the cursor one column.
        self.lines = max(rows - 2, 1)
        self.width = max(columns - 1, len(CUT))
        self.precision = precision

    def text(self, value: Value) -> str:
        """Give the whole text, cut to size."""
        if isinstance(value, Table) and value.columns:
            lines = self._headed(value)
        elif isinstance(value, Dictionary):
            lines = self._dictionary(value)
        elif isinstance(value, List) and len(value) > 0:
            lines = self._column(self._head(value, self.lines))
        else:
            lines = self._line(value).split("\n")
        if len(lines) > self.lines:
            lines = [*lines[: self.lines - 1], CUT]
        return "\n".join([self._cut(line) for line in lines])

    def _cut(self, line: str) -> str:
        return line if len(line) <= self.width else line[: self.width - len(CUT)] + CUT

    def _line(self, value: Value) -> str:
        """Spell a value on a line, reading no more of a vector than the line can hold."""
        if isinstance(value, Vector | Enumerated) and len(value) > self.width:
            value = self._head(value, self.width)
        return spell(value, self.precision)

    def _head(self, value: Value, limit: int) -> Value:
        """Give the first items of a list, one more than there is room for."""
        if count_of(value) <= limit + 1:
            return value
        if isinstance(value, Vector):
            return Vector(value.type, value.data[: limit + 1], value.attribute)
        if isinstance(value, Enumerated):
            return Enumerated(value.domain, value.data[: limit + 1], value.attribute)
        if isinstance(value, List):
            return List(value.items[: limit + 1], value.attribute)
        return value

    def _matrix(self, value: List) -> list[str] | None:
        """Write lists of equal counts one below the other, None if they are not."""
        items = [plain(item) for item in value.items]
        if not items or not all(isinstance(item, Vector | List) for item in items):
            return None
        count = count_of(items[0])
        if any(count_of(item) != count for item in items):
            return None
        kinds = {item.type if isinstance(item, Vector) else None for item in items}
        if len(kinds) == 1 and kinds <= _DENSE:
            return [self._line(item) for item in items]
        count = min(count, self.width)
        shown = [self._column(self._head(item, count)) for item in items]
        return self._beside([[row[at] for row in shown] for at in range(count)], len(items))

    def _column(self, value: Value) -> list[str]:
        """Write a list, one line for each item: simple ones without types, matrices aligned."""
        value = plain(value)
        if isinstance(value, Vector):
            return cells(value, self.precision)
        matrix = self._matrix(value) if isinstance(value, List) else None
        return [self._line(item) for item in items_of(value)] if matrix is None else matrix

    def _beside(self, shown: Sequence[list[str]], count: int) -> list[str]:
        """Put columns side by side, each as wide as its widest cell."""
        lines = [""] * count
        for number, column in enumerate(shown):
            width = max(map(len, column), default=0)
            gap = " " if number else ""
            lines = [f"{line}{gap}{text:{width}}" for line, text in zip(lines, column, strict=True)]
            if lines and len(lines[0]) > self.width:
                break
        return lines

    def _headed(self, value: Table) -> list[str]:
        """Write a table: its names, a rule, its rows."""
        columns = [self._head(column, self.lines) for column in value.columns]
        shown = [
            [name, *self._column(column)] for name, column in zip(value.names, columns, strict=True)
        ]
        lines = self._beside(shown, len(shown[0]))
        return [lines[0], "-" * len(lines[0]), *lines[1:]]

    def _dictionary(self, value: Dictionary) -> list[str]:
        """Write keys and values on both sides of a bar; with a heading if either is a table."""
        keys, values = value.keys, value.values
        headed = isinstance(keys, Table) or isinstance(values, Table)
        left = self._side(keys, headed)
        right = self._side(values, headed)
        width = max(map(len, left), default=0)
        lines = [f"{key:{width}}| {text}" for key, text in zip(left, right, strict=True)]
        if headed:
            rule = right[1] or "-" * max(map(len, right))
            lines[1] = f"{'-' * width}| {rule}"
        return lines

    def _side(self, value: Value, headed: bool) -> list[str]:
        if isinstance(value, Table):
            return self._headed(value) if value.columns else ["", ""]
        value = self._head(value, self.lines)
        shown = self._column(value)
        return ["", "", *shown] if headed else shown
