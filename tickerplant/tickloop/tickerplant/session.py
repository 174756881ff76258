"""Which session date an instant belongs to, without asking the calendar for every row."""

from datetime import date, timedelta

from tickloop.core.clock import date_of, session_start_ns


class SessionCalendar:
    """Dates roll at local midnight of `zone`, or at wall time `roll_ns` when that is positive."""

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
        start, end = (
            session_start_ns(day, zone=self.zone, roll_ns=self.roll_ns)
            for day in (session, session + timedelta(days=1))
        )
        return start, end
