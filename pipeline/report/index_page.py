"""The overview of a store, `reports/index.html`, and its nights, `reports/nightly.html`.

Both hold counts, scores, ids of models, names of batches and codes of reviewers; nothing of a
patient or scan, so erasing one leaves nothing of it here.
"""

from collections.abc import Iterable, Mapping

from markupsafe import Markup

from pipeline.config import Settings
from pipeline.report.charts import curve_charts
from pipeline.report.format_numbers import format_estimate
from pipeline.report.html_page import render_template
from pipeline.report.night_record import FAILED, INCOMPLETE, NightRecord, format_night, nights
from pipeline.store import catalog
from pipeline.store.registry import champion, head_home, read_card
from pipeline.store.store import Store
from pipeline.store.views.card_tables import promotions, whole_models

INDEX, NIGHTS = "reports/index.html", "reports/nightly.html"
SHOWN_NIGHTS = 60
QUESTIONS = ("batches", "overview_batches", "audit", "reviewers")  # of the overview
STATUSES = ("accepted", "duplicate", "rejected")
RESULTS = {FAILED: "failed", INCOMPLETE: "incomplete"}


def index_facts(con: catalog.Connection) -> dict[str, list[dict]]:
    """What the overview shows of a catalog: rows of Python's own values, which JSON can hold."""
    return {name: catalog.query_rows(con, name) for name in QUESTIONS}


def write_index(store: Store, facts: dict[str, list[dict]]) -> str:
    """Write the overview of a store from the facts of its catalog, and return its name."""
    counts, audit = facts["batches"], facts["audit"]
    more = {row["batch"]: row for row in facts["overview_batches"]}
    rows = [{**row, **more[row["batch"]]} for row in counts if row["batch"] in more]
    pages = set(store.names("reports"))
    batches = batch_rows(store, rows, pages)
    heads = head_rows(store, pages)
    page = render_template(
        "index.html.j2",
        batches=batches,
        volume=volume_chart(batches),
        prevalence=prevalence_chart(batches),
        audit=audit[0] if audit else None,
        reviewers=facts["reviewers"],
        crops=sum(row["features"] for row in rows),
        heads=heads,
        scores=score_chart(heads),
        promotions=len(promotions(store)),
        nights=[night_row(night) for night in nights(store, SHOWN_NIGHTS)],
        has_nights_page=NIGHTS in pages,
    )
    store.write_bytes(INDEX, page.encode(), mode=0o600)
    return INDEX


def batch_rows(store: Store, counts: list[dict], pages: set[str]) -> list[dict]:
    """Return the batches in the order of their first run, with links to their pages."""
    first, last = run_days(store.names("runs"))
    rows = [
        {
            **row,
            "first": first.get(row["batch"], ""),
            "last": last.get(row["batch"], ""),
            "page": _link(f"{row['batch']}.html", pages),
            "review": _link(f"review/{row['batch']}.html", pages),
        }
        for row in counts
    ]
    return sorted(rows, key=lambda row: (row["first"], row["batch"]))


def run_days(names: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the days of the first and the last run of every batch, from names of records."""
    first: dict[str, str] = {}
    last: dict[str, str] = {}
    for name in names:
        parts = name.split("/")
        if len(parts) == 3:  # runs/BATCH/20261129T213725.…
            day = f"{parts[2][:4]}-{parts[2][4:6]}-{parts[2][6:8]}"
            first.setdefault(parts[1], day)
            last[parts[1]] = day
    return first, last


def _link(name: str, pages: set[str]) -> str | None:
    return name if f"reports/{name}" in pages else None


def head_rows(store: Store, pages: set[str]) -> list[dict]:
    """Return all heads, the oldest first, with their AUROC and the number of their promotion."""
    promoted = {each["head"]: each["number"] for each in promotions(store)}
    current = (champion(store) or {}).get("head")
    rows = []
    for head in whole_models(store, "heads"):
        card = read_card(store, head_home(head))
        scores = card.get("scores", {})
        estimates = {name: each["estimates"]["auroc"] for name, each in scores.items()}
        ours = estimates.pop("head", None)
        best = max((each["value"] or 0 for each in estimates.values()), default=None)
        rows.append(
            {
                "head": head,
                "trunk": card.get("trunk", "–"),
                "made": card.get("made_at", "")[:10],
                "auroc": ours,
                "text": format_estimate(ours) if ours else "–",
                "best": best,
                "promotion": promoted.get(head),
                "champion": head == current,
                "page": _link(f"evaluation-{head}.html", pages),
            }
        )
    return sorted(rows, key=lambda row: (row["made"], row["promotion"] or 0, row["head"]))


def volume_chart(batches: list[dict]) -> Markup | None:
    """Draw the delivered files of every batch by status."""
    if not batches:
        return None
    series = {status: [row[status] for row in batches] for status in STATUSES}
    return curve_charts.columns(series, [row["batch"] for row in batches], "files")


def prevalence_chart(batches: list[dict]) -> Markup | None:
    """Draw the share of abnormal crops among those of the audit, of batches reviewed in full."""
    done = [row for row in batches if row["drawn"] and row["drawn"] == row["reviewed"]]
    if not done:
        return None
    values = [
        (row["batch"], row["abnormal"] / row["drawn"], row["low"], row["high"], False)
        for row in done
    ]
    return curve_charts.intervals(values, "share of abnormal crops in the audit")


def score_chart(heads: list[dict]) -> Markup | None:
    """Draw the AUROC of every head with its interval; the champion is marked."""
    values = [
        (row["head"], *(row["auroc"][key] for key in ("value", "low", "high")), row["champion"])
        for row in heads
        if row["auroc"] and row["auroc"]["value"] is not None
    ]
    return curve_charts.intervals(values, "AUROC on the test side") if values else None


def night_row(night: NightRecord) -> dict:
    """Return what tables show of a night."""
    return {
        "finished": night.finished_at[:16].replace("T", " "),
        "result": RESULTS.get(night.exit_status, "done"),
        "status": night.exit_status,
        "batches": len(night.worked_on()),
        **{
            name: night.total(name) for name in (*STATUSES, "flagged", "near_duplicates", "blurred")
        },
        "alerts": sum(
            line.startswith("ALERT") for each in night.batches.values() for line in each.lines
        ),
        "labels": night.labels.get("appended", 0) - night.labels.get("withdrawn", 0),
        "withdrawn": night.labels.get("withdrawn", 0),
        "head": "promoted" if night.promoted else None,
        "minutes": round(sum(night.seconds.values()) / 60, 1),
        "reasons": night.reasons(),
    }


def write_nights_page(store: Store, settings: Settings) -> str:
    """Write the page of the last nights, and return its name."""
    found = nights(store, SHOWN_NIGHTS)
    pages = set(store.names("reports"))
    newest = found[0] if found else None
    page = render_template(
        "nightly.html.j2",
        nights=[night_row(night) for night in found],
        lines=format_night(newest, settings, paths=False) if newest else [],
        links={
            name: link
            for name in (newest.batches if newest else {})
            if (link := _link(f"{name}.html", pages))
        },
        volume=_nights_chart(found),
    )
    store.write_bytes(NIGHTS, page.encode(), mode=0o600)
    return NIGHTS


def _nights_chart(found: list[NightRecord]) -> Markup | None:
    oldest_first = [night_row(night) for night in reversed(found)]
    if not any(row[status] for row in oldest_first for status in STATUSES):
        return None
    series: Mapping[str, list[int]] = {
        status: [row[status] for row in oldest_first] for status in STATUSES
    }
    return curve_charts.columns(series, [row["finished"][:10] for row in oldest_first], "files")
