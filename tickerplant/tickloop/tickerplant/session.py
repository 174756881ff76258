"""Which session date an instant belongs to, without asking the calendar for every row."""

from datetime import date, timedelta

from tickloop.core.clock import date_of, midnight_ns


class SessionCalendar:
    """Dates roll at local midnight of `zone`, or `roll_ns` after it when that is positive."""

    def __init__(self, *, zone: str = "UTC", roll_ns: int = 0) -> None:
        self.zone = zone
        self.roll_ns = roll_ns
        self._date: date | None = None
        self._start = 0
        self._end = 0

    def date_at(self, time: int) -> date:
        """Give an instant's session date."""
        if self._date is None or not self._start <= time < self._end:
            found = date_of(time, zone=self.zone, roll_ns=self.roll_ns)
            self._start, self._end = self.bounds(found)
            self._date = found
        return self._date

    def bounds(self, session: date) -> tuple[int, int]:
        """Give a session's first instant and the one after its last."""
        first = session - timedelta(days=1) if self.roll_ns > 0 else session
        start = midnight_ns(first, self.zone) + self.roll_ns
        end = midnight_ns(first + timedelta(days=1), self.zone) + self.roll_ns
        return start, end
