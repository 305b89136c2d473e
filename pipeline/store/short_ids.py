"""Ids of scans, crops and models may be shortened like git's: a prefix that only one id has.

A crop_id is `scan_id:region`. Both sides may be shortened, `3fa2:box-10`, and a scan that has one
crop names it. An ambiguous prefix is refused with the ids that it may mean.
"""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence

import duckdb
import pandas as pd

from pipeline.config import nearest
from pipeline.errors import ConfigError
from pipeline.store import catalog

SHORTEST = 4  # characters of a prefix
SHOWN = 6  # characters of a scan_id, at least, where short ids are shown
CANDIDATES = 10  # ids that a message lists
PREFIX = re.compile(rf"[0-9a-f]{{{SHORTEST},32}}")


def looks_like_id(given: str) -> bool:
    """Whether `given` has the form of a scan_id or crop_id, whole or shortened."""
    return PREFIX.fullmatch(given.partition(":")[0]) is not None


def find_scan_id(con: duckdb.DuckDBPyConnection, given: str) -> str | None:
    """The scan_id that `given`, a scan_id or a crop_id, means; None when there is no such scan.

    Raises ConfigError for a prefix that several scans have.
    """
    if not looks_like_id(given):
        return None
    prefix = given.partition(":")[0]
    found = catalog.query(con, "scans_by_prefix", prefix=prefix, limit=CANDIDATES + 1)
    return _only("scan", given, list(found["scan_id"])) if len(found) else None


def scan_id_of(con: duckdb.DuckDBPyConnection, given: str) -> str:
    """Like `find_scan_id`; raises ConfigError for a scan that is not in the store too."""
    _refuse_other_forms(given)
    found = find_scan_id(con, given)
    return found or _only("scan", given, [])


def crop_id_of(con: duckdb.DuckDBPyConnection, given: str) -> str:
    """The crop_id that `given` means. Raises ConfigError like `scan_id_of`."""
    _refuse_other_forms(given)
    scan, _, region = given.partition(":")
    found = catalog.query(con, "crops_by_prefix", scan=scan, region=region)
    # `box-1-2` means box-1-2-30-40 and not box-1-20-30-40, though it is a prefix of both.
    for closer in (found["region"] == region, found["region"].str.startswith(f"{region}-")):
        if closer.any():
            found = found[closer]
            break
    return _only("crop", given, list(found["crop_id"]))


def model_id_of(kind: str, given: str, known: Sequence[str]) -> str:
    """The one of the `known` ids that `given` means; ConfigError names the nearest or the several.

    `kind` is trunk, head or model.
    """
    if given in known:
        return given
    found = [each for each in known if each.startswith(given)] if len(given) >= SHORTEST else []
    if found:
        return _only(kind, given, found)
    hint = nearest(given, list(known)) if known else "There is none yet."
    raise ConfigError(f"There is no {kind} `{given}` in the store. {hint}")


# Parameters of queries that are ids.
RESOLVERS: Mapping[str, Callable[[duckdb.DuckDBPyConnection, str], str]] = {
    "crop_id": crop_id_of,
    "scan_id": scan_id_of,
}


def resolve_parameters(con: duckdb.DuckDBPyConnection, given: Mapping[str, str]) -> dict[str, str]:
    """Parameters of a query with every id whole. Raises ConfigError like `scan_id_of`."""
    return {
        name: RESOLVERS[name](con, value) if name in RESOLVERS else value
        for name, value in given.items()
    }


def shorten_crop_ids(con: duckdb.DuckDBPyConnection, crop_ids: Sequence[str]) -> list[str]:
    """For every crop_id a short one that `crop_id_of` resolves, with scan_ids of one length."""
    pairs = [crop_id.split(":", 1) for crop_id in crop_ids]
    scans = sorted({scan for scan, _ in pairs})
    found = catalog.query(con, "neighbouring_scans", scans=scans).set_index("scan_id")
    length = max([SHOWN, *(_unique_length(row) for row in found.itertuples())])
    return [
        f"{scan[:length]}{_short_region(region, list(found.at[scan, 'regions']))}"
        for scan, region in pairs
    ]


def _unique_length(row) -> int:
    """Characters by which a scan_id differs from those before and after it in the store."""
    others = [each for each in (row.before, row.after) if not pd.isna(each)]
    return 1 + max((_common_length(row.Index, other) for other in others), default=0)


def _common_length(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _short_region(region: str, regions: list[str]) -> str:
    """`:` and a start of `region` that its scan has once; nothing for the only region."""
    if regions == [region]:
        return ""
    numbers = region.split("-")
    for count in range(1, len(numbers)):
        short = "-".join(numbers[:count])
        if not any(f"{each}-".startswith(f"{short}-") for each in regions if each != region):
            return f":{short}"
    return f":{region}"


def _refuse_other_forms(given: str) -> None:
    if not looks_like_id(given):
        raise ConfigError(
            f"`{given}` is no id: a scan_id has 32 hex digits, a crop_id is scan_id:region, and "
            f"{SHORTEST} or more digits of a scan_id will do. `dental worklist` shows ids."
        )


def _only(kind: str, given: str, found: Sequence[str]) -> str:
    """The only one `found`; ConfigError when there is none or several."""
    if len(found) == 1:
        return found[0]
    if not found:
        raise ConfigError(f"There is no {kind} `{given}` in the store.")
    more = ["…"] if len(found) > CANDIDATES else []
    listed = "\n".join(f"  {each}" for each in [*found[:CANDIDATES], *more])
    raise ConfigError(f"`{given}` may be any of these {kind}s; give more of the id:\n{listed}")
