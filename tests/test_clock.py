"""Instants, session dates and zones agree with the calendar, also when clocks change."""

import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tickloop.core.clock import (
    DAY_NS,
    EPOCH_UNIX_NS,
    NULL_TIME,
    FeedClock,
    WallClock,
    date_of,
    from_unix_ns,
    iso,
    midnight_ns,
    session_start_ns,
    to_datetime,
    to_unix_ns,
)
from tickloop.tickerplant.session import SessionCalendar

HOUR_NS = 3_600_000_000_000
ZONES = [
    *("UTC", "America/New_York", "America/Chicago", "Europe/London", "Asia/Tokyo"),
    *("Asia/Kolkata", "Australia/Lord_Howe", "America/Havana", "Pacific/Apia", "America/Sao_Paulo"),
]
ROLLS = [0, 17 * HOUR_NS, 16 * HOUR_NS + HOUR_NS // 2, 2 * HOUR_NS + HOUR_NS // 2, 1]
INSTANTS = st.integers(-20 * 365 * DAY_NS, 80 * 365 * DAY_NS)
CHANGES = [date(2025, 3, 9), date(2025, 11, 2), date(2007, 3, 11)]  # of New York's clocks


def _instant(stamp: datetime) -> int:
    return (stamp - datetime(2000, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def test_the_wall_clock_never_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([100, 50, 99, 101, -5, 102])
    monkeypatch.setattr(time, "time_ns", lambda: EPOCH_UNIX_NS + next(readings))
    clock = WallClock()
    assert [clock.now() for _ in range(6)] == [100, 100, 100, 101, 101, 102]


def test_the_feed_clock_shows_the_latest_time_it_was_told() -> None:
    clock = FeedClock()
    assert clock.now() == NULL_TIME
    for told, shown in [(5, 5), (3, 5), (9, 9)]:
        clock.advance_to(told)
        assert clock.now() == shown


@given(instant=INSTANTS, zone=st.sampled_from(ZONES))
def test_without_a_roll_the_session_is_the_local_date(instant: int, zone: str) -> None:
    stamp = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant // 1000)
    assert date_of(instant, zone=zone) == stamp.astimezone(ZoneInfo(zone)).date()


@given(instant=INSTANTS, zone=st.sampled_from(["America/New_York", "America/Chicago", "UTC"]))
def test_from_five_in_the_evening_it_is_the_next_session(instant: int, zone: str) -> None:
    stamp = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant // 1000)
    local = stamp.astimezone(ZoneInfo(zone))
    expected = local.date() + timedelta(days=local.hour >= 17)
    assert date_of(instant, zone=zone, roll_ns=17 * HOUR_NS) == expected


@pytest.mark.parametrize("zone", ["America/New_York", "America/Chicago"])
@pytest.mark.parametrize("change", CHANGES)
def test_the_roll_is_at_five_on_the_wall_when_clocks_change(zone: str, change: date) -> None:
    roll = _instant(datetime(change.year, change.month, change.day, 17, tzinfo=ZoneInfo(zone)))
    calendar = SessionCalendar(zone=zone, roll_ns=17 * HOUR_NS)
    assert calendar.date_at(roll - 1) == change
    assert calendar.date_at(roll) == change + timedelta(days=1)
    start, end = calendar.bounds(change)
    assert end == roll
    assert end - start in (23 * HOUR_NS, 25 * HOUR_NS)


@given(
    instant=INSTANTS,
    steps=st.lists(st.integers(-3 * DAY_NS, 3 * DAY_NS), max_size=5),
    zone=st.sampled_from(ZONES),
    roll=st.sampled_from(ROLLS),
)
def test_a_calendar_agrees_with_itself_in_whatever_order_it_is_asked(
    instant: int, steps: list[int], zone: str, roll: int
) -> None:
    calendar = SessionCalendar(zone=zone, roll_ns=roll)
    for step in [0, *steps]:
        instant += step
        session = calendar.date_at(instant)
        start, end = calendar.bounds(session)
        assert start <= instant < end
        assert session == date_of(instant, zone=zone, roll_ns=roll)
        assert calendar.bounds(session + timedelta(days=1))[0] == end


@given(
    day=st.dates(date(1980, 1, 1), date(2080, 1, 1)),
    zone=st.sampled_from(ZONES),
    roll=st.sampled_from(ROLLS),
)
@example(day=date(2025, 3, 10), zone="America/New_York", roll=ROLLS[3])  # 02:30 is skipped
@example(day=date(2025, 11, 3), zone="America/New_York", roll=HOUR_NS)  # 01:00 comes twice
@example(day=date(2011, 12, 30), zone="Pacific/Apia", roll=0)  # a day that never was
@example(day=date(2024, 11, 3), zone="America/Havana", roll=0)  # midnight comes twice
def test_sessions_follow_one_another_without_gap_or_overlap(
    day: date, zone: str, roll: int
) -> None:
    start = session_start_ns(day, zone=zone, roll_ns=roll)
    end = session_start_ns(day + timedelta(days=1), zone=zone, roll_ns=roll)
    assert 0 <= end - start <= 26 * HOUR_NS
    if start < end:
        assert date_of(start, zone=zone, roll_ns=roll) == day
        assert date_of(end - 1, zone=zone, roll_ns=roll) == day
    assert date_of(end, zone=zone, roll_ns=roll) > day


@given(day=st.dates(date(1980, 1, 1), date(2080, 1, 1)), zone=st.sampled_from(ZONES))
def test_midnight_is_the_first_instant_of_the_local_date(day: date, zone: str) -> None:
    at = midnight_ns(day, zone)
    local = to_datetime(at).astimezone(ZoneInfo(zone))
    before = to_datetime(at - 1000).astimezone(ZoneInfo(zone))
    assert local.date() >= day
    assert before.date() < local.date()


def test_known_midnights() -> None:
    assert midnight_ns(date(2000, 1, 1)) == 0
    assert midnight_ns(date(2019, 12, 30), "America/New_York") == (7303 * 24 + 5) * HOUR_NS
    assert midnight_ns(date(2020, 7, 1), "America/New_York") == (7487 * 24 + 4) * HOUR_NS


@given(instant=st.integers(NULL_TIME + 1, 2**63 - 1))
def test_an_instant_reads_back_from_its_text(instant: int) -> None:
    text = iso(instant)
    assert text.endswith("Z")
    stamp = datetime.fromisoformat(text[:19] + "+00:00")
    assert _instant(stamp) + int(text[20:29]) == instant
    assert len(text) == len("2000-01-01T00:00:00.000000000Z")


def test_the_null_instant_has_no_text() -> None:
    assert iso(NULL_TIME) == ""
    assert iso(0) == "2000-01-01T00:00:00.000000000Z"
    assert iso(-1) == "1999-12-31T23:59:59.999999999Z"


@given(instant=INSTANTS)
def test_the_epochs_convert_both_ways(instant: int) -> None:
    assert from_unix_ns(to_unix_ns(instant)) == instant
    stamp = datetime.fromtimestamp(to_unix_ns(instant) // 10**9, tz=UTC)
    assert to_datetime(instant).replace(microsecond=0) == stamp
