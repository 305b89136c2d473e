"""Ids shortened like git's, over a store whose ids have common prefixes."""

import pytest

from pipeline.errors import ConfigError
from pipeline.store import catalog, short_ids
from tests.builders.tables import feature_row, scan_row, write_table

ONE, TWO, THREE = "3fa2b1c0" + "0" * 24, "3fa2b1d0" + "0" * 24, "77" * 16
REGIONS = ("box-10-20-30-40", "box-100-20-30-40", "box-10-25-30-40")
CROPS = [f"{TWO}:{region}" for region in REGIONS]


@pytest.fixture
def con(store):
    write_table(store, "scans", [scan_row(row, each) for row, each in enumerate([ONE, TWO, THREE])])
    rows = [feature_row(each) for each in (ONE, THREE)]
    rows += [
        feature_row(TWO, crop_id=crop_id, region=region)
        for crop_id, region in zip(CROPS, REGIONS, strict=True)
    ]
    write_table(store, "features", rows)
    with catalog.open_store(store) as con:
        yield con


@pytest.mark.parametrize("given", [ONE, "3fa2b1c", "3fa2b1c:whole", f"{ONE}:whole"])
def test_a_prefix_of_one_scan_means_that_scan(con, given):
    assert short_ids.scan_id_of(con, given) == ONE


@pytest.mark.parametrize(
    ("given", "crop_id"),
    [
        (f"{ONE}:whole", f"{ONE}:whole"),
        ("7777", f"{THREE}:whole"),
        ("3fa2b1d:box-100", CROPS[1]),
        ("3fa2b1d:box-10-25", CROPS[2]),
        (CROPS[0], CROPS[0]),
    ],
)
def test_a_crop_is_named_by_the_start_of_its_scan_and_of_its_region(con, given, crop_id):
    assert short_ids.crop_id_of(con, given) == crop_id


def test_an_ambiguous_prefix_lists_what_it_may_mean(con):
    with pytest.raises(ConfigError, match="`3fa2` may be any of these scans") as error:
        short_ids.scan_id_of(con, "3fa2")
    assert str(error.value).splitlines()[1:] == [f"  {ONE}", f"  {TWO}"]
    with pytest.raises(ConfigError, match="may be any of these crops") as error:
        short_ids.crop_id_of(con, "3fa2b1d:box-10")
    assert str(error.value).splitlines()[1:] == [f"  {each}" for each in (CROPS[0], CROPS[2])]


def test_no_more_than_ten_candidates_are_listed(store):
    ids = [f"abcd{number:028x}" for number in range(12)]
    write_table(store, "scans", [scan_row(row, each) for row, each in enumerate(ids)])
    with catalog.open_store(store) as con, pytest.raises(ConfigError) as error:
        short_ids.scan_id_of(con, "abcd")
    assert str(error.value).splitlines()[-2:] == [f"  {ids[9]}", "  …"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("3fa", "is no id: a scan_id has 32 hex digits"),
        ("smith.png", "is no id"),
        ("beef", "There is no scan `beef` in the store"),
    ],
)
def test_what_names_no_scan_is_an_error(con, given, message):
    with pytest.raises(ConfigError, match=message):
        short_ids.scan_id_of(con, given)


def test_shortened_crop_ids_are_unique_and_resolve_to_the_whole_ones(con):
    ids = [f"{ONE}:whole", f"{THREE}:whole", *CROPS]
    short = short_ids.shorten_crop_ids(con, ids)
    assert short == [
        "3fa2b1c",
        "7777777",
        "3fa2b1d:box-10-20",
        "3fa2b1d:box-100",
        "3fa2b1d:box-10-25",
    ]
    assert [short_ids.crop_id_of(con, each) for each in short] == ids


def test_a_model_is_named_by_a_prefix_that_only_one_has():
    known = ["f9d40a4d5214", "f9d40bbbbbbb", "daea073c2e89"]
    assert short_ids.model_id_of("head", "daea", known) == known[2]
    with pytest.raises(ConfigError, match="may be any of these heads"):
        short_ids.model_id_of("head", "f9d4", known)
    with pytest.raises(ConfigError, match="There is no head `dae` in the store"):
        short_ids.model_id_of("head", "dae", known)
