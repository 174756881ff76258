"""The signs of a plant on one screen: aligned columns, units in every heading."""

from collections.abc import Sequence

from tickloop.app.vital_signs import Signs

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
Cells = Sequence[str]


def screen(signs: Signs, root: str) -> str:
    """Spell everything in lines."""
    blocks = [
        _head(signs, root),
        _table(("table", "rows", "rows/s"), _tables(signs)),
        _table(("sink", "rows", "behind", "state", "where"), _sinks(signs)),
        _table(("stream", "state size", "saved"), _streams(signs)),
        _table(
            ("job on Flink", "state", "up", "checkpoint", "size", "waiting", "failures"),
            _jobs(signs),
        ),
        f"Flink: {signs.cluster}" if signs.cluster else "",
    ]
    return "\n\n".join(filter(None, blocks))


def _head(signs: Signs, root: str) -> str:
    word = "live" if signs.is_live else "at rest"
    who = f", process {signs.pid} since {signs.started[:19]}Z" if signs.pid else ""
    ports = ", ".join(f"{name} {port}" for name, port in signs.ports.items())
    lines = [
        f"{root}  {word}{who}",
        f"at {signs.at[:19]}Z (UTC), on disk up to seq {signs.synced:,}",
    ]
    return "\n".join([*lines, *([f"ports {ports}"] if ports else [])])


def _tables(signs: Signs) -> list[Cells]:
    rates = signs.rates
    named = sorted(signs.rows.items())
    found = [(name, f"{n:,}", _rate(None if rates is None else rates[name])) for name, n in named]
    whole = None if rates is None else sum(rates.values())
    return [*found, ("all", f"{sum(signs.rows.values()):,}", _rate(whole))] if found else []


def _sinks(signs: Signs) -> list[Cells]:
    return [
        (each.name, f"{each.rows:,}", f"{each.behind:,}", each.state, each.target)
        for each in signs.sinks
    ]


def _streams(signs: Signs) -> list[Cells]:
    return [
        (each.name, size(each.state_bytes), f"{span(each.saved_s)} ago") for each in signs.streams
    ]


def _jobs(signs: Signs) -> list[Cells]:
    return [
        (
            job.name, f"{job.state.lower()} {job.tasks}", span(job.uptime_s),
            "none yet" if job.checkpoint_age_s is None else f"{span(job.checkpoint_age_s)} ago",
            "" if job.checkpoint_bytes is None else size(job.checkpoint_bytes),
            "" if job.lag is None else f"{job.lag:,}", str(job.failures),
        )
        for job in signs.jobs
    ]  # fmt: skip


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def size(count: float) -> str:
    """Spell a count of bytes."""
    for unit in _UNITS:
        if count < 1024 or unit == _UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError(count)


def span(seconds: float) -> str:
    """Spell a length of time."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 120 else f"{minutes} min {rest} s"


def _table(heading: Cells, rows: Sequence[Cells]) -> str:
    """Align columns: numbers to the right, as they are in every row of their column."""
    if not rows:
        return ""
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    is_number = [
        all(not cell or cell.replace(",", "").isdecimal() for cell in column)
        for column in zip(*rows, strict=True)
    ]
    lines = [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, is_number, strict=True)
        ).rstrip()
        for row in (heading, *rows)
    ]
    return "\n".join(lines)
