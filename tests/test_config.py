"""A configuration is read whole or refused with file, line, key, what was seen and expected."""

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloop.core import config as configuration
from tickloop.core.config import (
    Config,
    FeedConfig,
    PlantConfig,
    ServeConfig,
    StoreConfig,
    as_toml,
    load,
)
from tickloop.core.errors import ConfigError

_DEEP = "[" * 5000


def _load(folder: Path, text: str) -> Config:
    path = folder / "tickloop.toml"
    path.write_text(text, newline="")
    return load(path)


def _refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        _load(folder, text)
    return str(refused.value).replace(str(folder / "tickloop.toml"), "FILE")


def test_no_file_and_an_empty_file_give_the_defaults(tmp_path: Path) -> None:
    assert load(None) == Config() == _load(tmp_path, "")


def test_a_file_of_every_section_is_read(tmp_path: Path) -> None:
    read = _load(
        tmp_path,
        """
        schema = "sym.q"
        plant = { name = "desk", sync = "batch", zone = "America/Chicago", roll_minutes = 1020 }
        [feed]
        cut_ms = 5  # a whole number where any number will do
        [serve]
        slow = "conflate"
        [tables.mine]
        price = "float"
        """,
    )
    assert read.plant == PlantConfig(
        name="desk", sync="batch", zone="America/Chicago", roll_minutes=1020
    )
    assert read.feed.cut_ms == 5.0
    assert isinstance(read.feed.cut_ms, float)
    assert (read.serve.slow, read.schema) == ("conflate", "sym.q")
    assert read.tables == {"mine": {"price": "float"}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[plant]\n\nnam = 'x'",
            "FILE:3: plant.nam: unknown key; did you mean 'name'? expected one of name,",
        ),
        ("[plnt]\nname = 'x'", "FILE:1: plnt: unknown key; did you mean 'plant'? expected"),
        ("zzz = 1", "FILE:1: zzz: unknown key; "),
        ("plant = 5", "FILE:1: plant: 5 (int) seen, a table expected"),
        ("[plant]\nname = 5", "FILE:2: plant.name: 5 (int) seen, a string expected"),
        ("[serve]\nport = 'a'", "FILE:2: serve.port: 'a' (str) seen, a whole number expected"),
        ("serve.port = 5.0", "FILE:1: serve.port: 5.0 (float) seen, a whole number expected"),
        ("[serve]\nport = true", "FILE:2: serve.port: True (bool) seen, a whole number expected"),
        ("[feed]\ncut_ms = true", "FILE:2: feed.cut_ms: True (bool) seen, a number expected"),
        ("[store]\nfractional = 1", "FILE:2: store.fractional: 1 (int) seen, true or false"),
        ("[plant]\nsync = 'maybe'", "one of 'none', 'interval', 'batch' expected"),
        ("[plant]\nsync = ['none']", "FILE:2: plant.sync: ['none'] (list) seen, one of 'none'"),
        ("[serve]\nport = 65536", "FILE:2: serve.port: 65536 seen, at most 65535 port expected"),
        ("[serve]\nport = -1", "FILE:2: serve.port: -1 seen, at least 0 port expected"),
        ("[plant]\nroll_minutes = 1440", "FILE:2: plant.roll_minutes: 1440 seen, at most 1439"),
        ("[feed]\ncut_ms = nan", "FILE:2: feed.cut_ms: nan seen, a finite number expected"),
        ("[feed]\ncut_ms = inf", "FILE:2: feed.cut_ms: inf seen, a finite number expected"),
        ("[feed]\ncut_ms = 1" + "0" * 400, "FILE:2: feed.cut_ms: a number of more than 64 bits"),
        ("[store]\nflush_rows = 9223372036854775808", "FILE:2: store.flush_rows: a number of more"),
        ("[store]\nflush_rows = " + "9" * 5000, "FILE:1: not TOML: Exceeds the limit"),
        ("x = " + _DEEP, "FILE:1: not TOML: "),
        ("[plant]\nzone = 'Mars/Olympus'", "FILE:2: plant.zone: 'Mars/Olympus' seen, a time zone"),
        ("[plant]\nzone = '../etc'", "FILE:2: plant.zone: '../etc' seen, a time zone"),
        ("[tables]\nmine = 1", "FILE:2: tables.mine: 1 (int) seen, a table expected"),
        ("[tables.mine]\na = 'int'\nb = 2", "FILE:3: tables.mine.b: 2 (int) seen, a string"),
        ("[serve.publish]\na = 'trade'\nb = 2", "FILE:3: serve.publish.b: 2 (int) seen, a string"),
        (
            "[tables.mine]\na = 'int'\nb = 'flot'",
            "FILE:3: tables.mine.b: b = 'flot' seen, one of boolean, guid",
        ),
        ("[tables.'a b']\na = 'int'", "FILE:2: tables.a b.a: table name 'a b' seen; letters"),
        ("a = 1\n\n[plant", "FILE:3: not TOML: "),
        (
            "[serve]\nport = 1\nport = 2",
            "FILE:3: not TOML: Cannot overwrite a value (at end of document)",
        ),
        ("[serve]\nport = 1\nport = 2\n", "FILE:3: not TOML: Cannot overwrite a value at column 9"),
        ("[serve]\nport = 1\n[serve]\n", "FILE:3: not TOML: Cannot declare ('serve',) twice"),
        ("# \u2028\n[plant]\n# [serve]\nx = 1", "FILE:4: plant.x: unknown key"),
    ],
)
def test_a_refusal_says_where_what_was_seen_and_what_was_expected(
    tmp_path: Path, text: str, expected: str
) -> None:
    assert expected in _refusal(tmp_path, text)


def test_a_file_that_is_missing_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read \(No such file"):
        load(tmp_path / "none.toml")
    path = tmp_path / "latin.toml"
    path.write_bytes(b"schema = '\xe9'")
    with pytest.raises(ConfigError, match=r"latin\.toml: byte 10 is not UTF-8"):
        load(path)


@dataclass(frozen=True, slots=True)
class _Limits:
    """Limits without defaults: what is not given is not assumed."""

    loss: float = field(metadata={"minimum": 0, "unit": "USD"})
    side: Literal["buy", "sell"] = field()
    venue: str | None = None


def _limits(folder: Path, text: str) -> object:
    path = folder / "limits.toml"
    path.write_text(text)
    values = tomllib.loads(text)
    return configuration._build(_Limits, values, configuration._Place(path, text, ()))


def test_what_has_no_default_must_be_given(tmp_path: Path) -> None:
    given_all = "loss = 5\nside = 'buy'\nvenue = 'XNAS'"
    assert _limits(tmp_path, given_all) == _Limits(5.0, "buy", "XNAS")
    with pytest.raises(ConfigError, match=r"limits.toml:1: side: missing, one of 'buy', 'sell'"):
        _limits(tmp_path, "loss = 5")
    with pytest.raises(ConfigError, match=r"limits.toml:1: loss: missing, a number expected"):
        _limits(tmp_path, "side = 'buy'")
    with pytest.raises(ConfigError, match=r"venue: 5 .int. seen, a string or nothing expected"):
        _limits(tmp_path, "loss = 1\nside = 'buy'\nvenue = 5")
    with pytest.raises(ConfigError, match="loss: nan seen"):
        _limits(tmp_path, "loss = nan\nside = 'buy'")


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
WHOLE = st.integers(1000, 2**31)
NUMBERS = st.floats(1, 1e300)
PLANTS = st.builds(
    PlantConfig,
    name=TEXT,
    sync=st.sampled_from(["none", "interval", "batch"]),
    sync_interval_ms=NUMBERS,
    zone=st.sampled_from(["", "UTC", "America/New_York"]),
    roll_minutes=st.integers(0, 1439),
    clock_ms=WHOLE,
    span_mib=WHOLE,
)
# Not those of the plant's own columns.
NAMES = st.from_regex(r"[A-Z][A-Za-z0-9_]{0,8}", fullmatch=True)
TYPES = st.sampled_from(["float", "symbol", "string", "timestamp"])
CONFIGS = st.builds(
    Config,
    plant=PLANTS,
    feed=st.builds(FeedConfig, depth_levels=WHOLE, cut_ms=NUMBERS, binance_rest=TEXT),
    serve=st.builds(
        ServeConfig,
        host=TEXT,
        port=st.integers(0, 65535),
        password_file=TEXT,
        publish=st.dictionaries(TEXT, TEXT, max_size=3),
    ),
    store=st.builds(StoreConfig, flush_rows=WHOLE, fractional=st.booleans()),
    schema=TEXT,
    tables=st.dictionaries(NAMES, st.dictionaries(NAMES, TYPES, max_size=3), max_size=3),
)


@given(config=CONFIGS)
def test_what_is_written_reads_back(
    tmp_path_factory: pytest.TempPathFactory, config: Config
) -> None:
    path = tmp_path_factory.mktemp("config") / "tickloop.toml"
    path.write_text(as_toml(config), encoding="utf-8", newline="")
    assert load(path) == config


def test_the_written_defaults_show_every_key_with_its_unit() -> None:
    text = as_toml(Config())
    sections: list[Any] = [Config()]
    while sections:
        section = sections.pop()
        for item in dataclasses.fields(section):
            value = getattr(section, item.name)
            if dataclasses.is_dataclass(value):
                sections.append(value)
            elif not isinstance(value, dict):
                assert f"\n{item.name} = " in f"\n{text}"
            assert item.metadata.get("unit", "") in text


@given(text=st.text(alphabet="plant serve.=[]{}\n\"'#name1-n", max_size=80))
def test_any_text_is_a_configuration_or_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.mktemp("config") / "tickloop.toml"
    path.write_text(text)
    try:
        load(path)
    except ConfigError as error:
        assert str(path) in str(error)
