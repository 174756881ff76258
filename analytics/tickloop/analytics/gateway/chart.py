"""A small line chart as SVG, for a first look in a notebook or a file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tickloop.core.errors import QueryError

WIDTH, HEIGHT, MARGIN = 720, 280, 48
POINTS_MAX = 2000
_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b")
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing."""

    svg: str

    def _repr_html_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> None:
        """Write the drawing to a file."""
        Path(path).write_text(self.svg, encoding="utf-8")


def chart_of(
    columns: Mapping[str, npt.NDArray[np.generic]], x: str | None, y: Sequence[str] | None
) -> Chart:
    """Draw columns `y` as lines over column `x`; QueryError says what there is to draw."""
    numbers = {name: _numbers(column) for name, column in columns.items()}
    drawable = {name: column for name, column in numbers.items() if column is not None}
    if x is None:
        x = next((name for name in columns if name in drawable), "")
    wanted = [name for name in drawable if name != x] if y is None else list(y)
    unknown = [name for name in (x, *wanted) if name not in drawable]
    if unknown or not wanted:
        raise QueryError(
            f"{', '.join(unknown) or 'one column'} cannot be drawn; columns of numbers and times"
            f" are {', '.join(drawable) or 'none here'}"
        )
    return Chart(_svg(x, drawable[x], {name: drawable[name] for name in wanted}, columns[x]))


def _numbers(column: npt.NDArray[np.generic]) -> Numbers | None:
    if column.dtype.kind in "mM":
        found = column.astype(np.int64).astype(np.float64)
        found[np.isnat(column)] = np.nan
        return found
    return column.astype(np.float64) if column.dtype.kind in "iufb" else None


def _svg(
    name: str, x: Numbers, lines: Mapping[str, Numbers], shown: npt.NDArray[np.generic]
) -> str:
    low, high = _range(np.concatenate(list(lines.values())))
    left, right = _range(x)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="11">'
    ]
    for number, (label, values) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        points = _points(_scaled(x, left, right), _scaled(values, low, high))
        parts.append(f'<polyline fill="none" stroke="{colour}" points="{points}"/>')
        at = MARGIN + 90 * number
        parts.append(f'<text x="{at}" y="14" fill="{colour}">{escape(label)}</text>')
    bottom = HEIGHT - MARGIN // 2
    first, last = (str(shown[0]), str(shown[-1])) if len(shown) else ("", "")
    parts += [
        f'<text x="2" y="{bottom - 8}">{low:.6g}</text><text x="2" y="26">{high:.6g}</text>',
        f'<text x="{MARGIN}" y="{HEIGHT - 6}">{escape(first)}</text>',
        f'<text x="{WIDTH}" y="{HEIGHT - 6}" text-anchor="end">{escape(last)}</text>',
        f'<text x="{WIDTH // 2}" y="{HEIGHT - 6}">{escape(name)}</text></svg>',
    ]
    return "".join(parts)


def _range(values: Numbers) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _scaled(values: Numbers, low: float, high: float) -> Numbers:
    return (values - low) / (high - low)


def _points(x: Numbers, y: Numbers) -> str:
    keep = np.isfinite(x) & np.isfinite(y)
    x, y = x[keep], y[keep]
    step = max(1, len(x) // POINTS_MAX)
    across = MARGIN + x[::step] * (WIDTH - MARGIN - 8)
    down = 20 + (1 - y[::step]) * (HEIGHT - MARGIN - 20)
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across, down, strict=True))
