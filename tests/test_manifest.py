"""The manifest says all it knows in text, and refuses what it does not understand."""

import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloop.core.catalog import Catalog
from tickloop.core.errors import DataDirectoryError
from tickloop.core.schema import TRADE, Column, Kind, Table
from tickloop.tickerplant import manifest
from tickloop.tickerplant.file_door import OS_DOOR
from tickloop.tickerplant.manifest import Chunk, Manifest, Mount, Partition

names = st.text("abcdefgh_é", min_size=1, max_size=8)
counts = st.dictionaries(names, st.integers(0, 2**62), max_size=3)
days = st.dates(date(2000, 1, 1), date(2100, 1, 1))
seqs = st.integers(-1, 2**62)
tables = st.builds(
    Table,
    st.just("mine"),
    st.lists(st.builds(Column, names, st.sampled_from(Kind)), unique_by=lambda c: c.name).map(
        tuple
    ),
)


@given(
    st.builds(
        Manifest,
        catalog=st.builds(Catalog, st.tuples(st.just(TRADE), tables), st.booleans()),
        watermark=seqs,
        rdb=names,
        zone=names,
        roll_ns=st.integers(0, 10**14),
        chunks=st.lists(st.builds(Chunk, days, seqs, counts), max_size=3).map(tuple),
        partitions=st.lists(st.builds(Partition, days, seqs, counts), max_size=3).map(tuple),
        mounts=st.lists(st.builds(Mount, names, names), max_size=2).map(tuple),
        journals=st.lists(names, max_size=3).map(tuple),
        generation=seqs,
    )
)
def test_a_manifest_survives_its_text(told: Manifest) -> None:
    found = manifest.from_json(manifest.to_json(told))
    assert found == told
    assert [table.columns for table in found.catalog] == [t.columns for t in told.catalog]


def test_another_version_is_refused() -> None:
    fields = {**json.loads(manifest.to_json(Manifest())), "version": 2}
    with pytest.raises(DataDirectoryError, match=r"version 2.*knows version 1"):
        manifest.from_json(json.dumps(fields))


@given(st.data())
def test_damaged_text_is_an_error_that_names_the_file(data: st.DataObject) -> None:
    text = manifest.to_json(
        Manifest(chunks=(Chunk(date(2024, 1, 2), 9, {"trade": 1}),), mounts=(Mount("a", "b"),))
    )
    fields = json.loads(text)
    name = data.draw(st.sampled_from(sorted(fields)))
    junk = st.sampled_from([None, 1, "x", [], {}, [1], [[1, 2]], {"a": [["b", "c"]]}])
    fields[name] = data.draw(junk)
    try:
        manifest.from_json(json.dumps(fields))
    except DataDirectoryError as error:
        assert manifest.NAME in str(error)


def test_a_written_manifest_counts_its_generations(tmp_path: Path) -> None:
    assert manifest.read(tmp_path) is None
    first = manifest.write(tmp_path, Manifest(watermark=5), OS_DOOR)
    second = manifest.write(tmp_path, first, OS_DOOR)
    assert (first.generation, second.generation) == (1, 2)
    assert manifest.read(tmp_path) == second
