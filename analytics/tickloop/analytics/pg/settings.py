"""A session's settings: what SHOW tells, SET changes and clients are told unasked."""

import re
from collections.abc import Mapping

from tickloop.analytics.pg.failures import PgError, SqlState

# The catalogue has the columns of this version's, so this is what clients should write for.
VERSION = "15.0 (Tickloop)"
VERSION_NUMBER = "150000"

# Settings that clients are told at the start, and again when they change.
_REPORTED = (
    "server_version", "server_encoding", "client_encoding", "application_name",
    "default_transaction_read_only", "in_hot_standby", "is_superuser", "session_authorization",
    "DateStyle", "IntervalStyle", "TimeZone", "integer_datetimes", "standard_conforming_strings",
)  # fmt: skip
_FIXED = {
    "server_version": VERSION, "server_version_num": VERSION_NUMBER, "server_encoding": "UTF8",
    "in_hot_standby": "off", "is_superuser": "off", "integer_datetimes": "on", "block_size": "8192",
    "max_identifier_length": "63", "max_index_keys": "32", "max_function_args": "100",
    "lc_collate": "C", "lc_ctype": "C", "data_checksums": "off", "wal_level": "minimal",
    "transaction_read_only": "on", "default_transaction_read_only": "on", "ssl": "off",
    "transaction_deferrable": "off", "session_authorization": "", "config_file": "",
    "default_with_oids": "off", "segment_size": "1GB",
}  # fmt: skip
# What may be set; most of it is about writing or planning, and changes nothing here.
_FREE = {
    "application_name": "", "client_encoding": "UTF8", "client_min_messages": "notice",
    "DateStyle": "ISO, MDY", "IntervalStyle": "postgres", "TimeZone": "UTC",
    "standard_conforming_strings": "on", "extra_float_digits": "1", "bytea_output": "hex",
    "search_path": '"$user", public', "statement_timeout": "0", "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0", "idle_session_timeout": "0",
    "transaction_isolation": "read committed", "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off", "row_security": "on", "role": "none",
    "synchronous_commit": "on", "work_mem": "4MB", "maintenance_work_mem": "64MB", "jit": "off",
    "max_parallel_workers_per_gather": "0", "xmloption": "content", "escape_string_warning": "on",
    "backslash_quote": "safe_encoding", "quote_all_identifiers": "off", "lc_messages": "C",
    "lc_monetary": "C", "lc_numeric": "C", "lc_time": "C", "log_statement": "none",
    "log_min_messages": "warning", "geqo": "on", "constraint_exclusion": "partition",
    "cursor_tuple_fraction": "0.1", "default_tablespace": "", "temp_tablespaces": "",
    "default_table_access_method": "heap", "default_text_search_config": "pg_catalog.simple",
    "session_replication_role": "origin", "array_nulls": "on", "plan_cache_mode": "auto",
    "check_function_bodies": "on", "synchronize_seqscans": "on", "seq_page_cost": "1",
    "random_page_cost": "4", "effective_cache_size": "4GB", "options": "",
    "gin_fuzzy_search_limit": "0", "transform_null_equals": "off",
    "timezone_abbreviations": "Default",
    "enable_seqscan": "on", "enable_indexscan": "on", "enable_bitmapscan": "on",
    "enable_hashjoin": "on", "enable_mergejoin": "on", "enable_nestloop": "on", "enable_sort": "on",
    "enable_hashagg": "on", "enable_material": "on", "enable_indexonlyscan": "on",
    "tickloop.engine": "hdb",
    "track_activities": "on", "force_parallel_mode": "off", "tcp_keepalives_idle": "0",
}  # fmt: skip
_NAMES = {name.lower(): name for name in (*_FIXED, *_FREE)}
_SPAN = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*(us|ms|s|min|h|d)?\s*")
_UNIT_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_UTC = frozenset({"utc", "gmt", "etc/utc", "etc/gmt", "zulu", "universal", "uct", "0", "+00", "+00:00", "default", "local"})  # noqa: E501  # fmt: skip
_ENGINES = ("hdb", "questdb")
_ENCODINGS = frozenset({"utf8", "unicode", "sqlascii"})


class Settings:
    """Settings of one session, with what a transaction's end takes back."""

    def __init__(self, user: str) -> None:
        self._first = {**_FIXED, **_FREE, "session_authorization": user}
        self._now = dict(self._first)
        self._before: dict[str, str] = {}  # what SET changed in this transaction
        self._local: dict[str, str] = {}  # what SET LOCAL changed in it
        self.changed: list[str] = []  # names whose new value clients are to be told

    @property
    def values(self) -> Mapping[str, str]:
        """Every setting by name."""
        return dict(self._now)

    @property
    def reported(self) -> list[tuple[str, str]]:
        """Give what clients are told at the start."""
        return [(name, self._now[name]) for name in _REPORTED]

    def take_changes(self) -> list[tuple[str, str]]:
        """Give what clients are to be told again."""
        names, self.changed = self.changed, []
        return [(name, self._now[name]) for name in dict.fromkeys(names) if name in _REPORTED]

    @property
    def statement_timeout_s(self) -> float:
        """How long a statement may take; 0 for any time."""
        return seconds(self._now["statement_timeout"])

    def knows(self, name: str) -> bool:
        """Tell whether there is a setting of that name."""
        return name.lower() in _NAMES or name in self._now

    def get(self, name: str) -> str:
        """Give a setting's value; PgError if there is none."""
        found = self._now.get(_NAMES.get(name.lower(), name))
        if found is None:
            raise _unknown(name)
        return found

    def start(self, parameters: Mapping[str, str]) -> None:
        """Take what a client asks for as it connects; what is not known here is passed over."""
        for name, value in parameters.items():
            known = _NAMES.get(name.lower())
            # Drivers send their machine's zone and encoding; they read what is reported instead.
            if known in _FREE and known not in ("TimeZone", "client_encoding"):
                self._first[known] = self._now[known] = _checked(known, value)

    def set(self, name: str, value: str | None, *, local: bool = False, inside: bool) -> None:
        """Change a setting, None to its first value; `inside` a transaction that may be undone."""
        known = _NAMES.get(name.lower(), name)
        if known in _FIXED:
            if value is None or value.lower() == self._now[known].lower():
                return
            if known == "transaction_read_only" or known == "default_transaction_read_only":
                raise PgError(SqlState.READ_ONLY, "cannot set transaction read-write mode: SQL is read-only here")  # noqa: E501  # fmt: skip
            raise PgError(SqlState.INVALID_PARAMETER, f'parameter "{name}" cannot be changed')
        if known not in _FREE and "." not in known:
            raise _unknown(name)
        new = self._first.get(known, "") if value is None else _checked(known, value)
        if inside:
            undone = self._local if local else self._before
            undone.setdefault(known, self._now.get(known, ""))
        self._put(known, new)

    def reset_all(self) -> None:
        """Bring every setting back to its first value."""
        for name, value in self._first.items():
            self._put(name, value)

    def end(self, *, committed: bool) -> None:
        """End a transaction."""
        undone = self._local if committed else {**self._local, **self._before}
        for name, value in undone.items():
            self._put(name, value)
        self._local, self._before = {}, {}

    def _put(self, name: str, value: str) -> None:
        if self._now.get(name) != value:
            self._now[name] = value
            self.changed.append(name)


def seconds(text: str) -> float:
    """Read a span of time such as `500`, `500ms` or `2 min`; bare numbers are milliseconds."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise PgError(
            SqlState.INVALID_PARAMETER,
            f'invalid value for a span of time: "{text}"',
            hint="Valid units are us, ms, s, min, h and d.",
        )
    return float(match[1]) * _UNIT_S[match[2] or "ms"]


def _unknown(name: str) -> PgError:
    return PgError(SqlState.UNDEFINED_OBJECT, f'unrecognized configuration parameter "{name}"')


def _checked(name: str, value: str) -> str:
    """Refuse a value that would make clients misread what they get."""
    if name in ("statement_timeout", "lock_timeout"):
        if seconds(value) < 0:
            raise PgError(SqlState.INVALID_PARAMETER, f"{name}: {value} seen, 0 or more expected")
        return value
    if name == "TimeZone" and value.lower() not in _UTC:
        raise PgError(
            SqlState.FEATURE_NOT_SUPPORTED,
            f'sessions are in UTC here, time zone "{value}" cannot be set',
            hint=f"Write: time AT TIME ZONE '{value}'",
        )
    if name == "tickloop.engine":
        if value.lower() not in _ENGINES:
            raise PgError(
                SqlState.INVALID_PARAMETER,
                f'tickloop.engine "{value}" seen, one of {", ".join(_ENGINES)} expected',
            )
        return value.lower()
    if name == "client_encoding":
        if value.lower().replace("-", "").replace("_", "") not in _ENCODINGS:
            raise PgError(
                SqlState.INVALID_PARAMETER,
                f'client_encoding "{value}" seen, UTF8 is what this server speaks',
            )
        return "UTF8"
    if name == "standard_conforming_strings" and value.lower() not in ("on", "true", "1", "yes"):
        raise PgError(SqlState.FEATURE_NOT_SUPPORTED, "standard_conforming_strings is always on")
    if name in ("DateStyle", "IntervalStyle"):
        # ISO is the only style; the order of days and months matters to no ISO date.
        return _FREE[name]
    return "UTC" if name == "TimeZone" else value
