"""Every page of reports/ in Chromium: what axe finds, in light and dark mode and on a phone."""

import numpy as np
import pytest

from pipeline import config, schemas
from pipeline.imaging.crops import png
from pipeline.learn.evaluate import evaluate_head
from pipeline.report import batch_pictures, index_page, model_page
from pipeline.report.batch_report import write_report
from pipeline.report.card_heat_maps import CardHeatMap
from pipeline.report.night_record import BatchNight, NightRecord, write_night
from pipeline.store import catalog, tables
from pipeline.store.store import Store
from tests.builders.browser import chromium, violations
from tests.builders.synthetic_store import SIDE, SyntheticStore
from tests.builders.tables import write_rows
from tests.report import test_batch_report as batch_page

pytestmark = pytest.mark.slow
VIEWS = [("light", 1200), ("dark", 390)]


def write_batch_page(root):
    """A page with all of its parts: rejections, duplicates, pairs, drift, cards, scores."""
    store = Store(str(root))
    alike = [f"00ff00ff00ff00f{digit}" for digit in "0137"]
    scans = [
        batch_page.scan(row, likeness=bits, quality_flags=["blurred"])
        for row, bits in enumerate(alike)
    ]
    copy = {"status": "duplicate", "duplicate_of": "earlier"}
    batch_page.write_scans(
        store, [*scans, batch_page.rejected(4), batch_page.scan(5, scan_id="0" * 32, **copy)]
    )
    batch_page.write_crops(store, [batch_page.facts(number) for number in range(4)])
    batch_page.write_labels(store, {0: "healthy", 2: "caries"})
    batch_page.write_trunk(store)
    batch_page.write_head(store)
    rows = [batch_page.prediction(number, *score) for number, score in batch_page.SCORES.items()]
    write_rows(store, tables.predictions(batch_page.HEAD).part("b", 0), rows, schemas.PREDICTIONS)
    drift = {"batch": "b", "reference": "r", "modality": "PX", "state": "compared"}
    drift |= {"part": 0, "patients": 12, "reference_patients": 40, "by_chance": 0.1}
    facts = [("contrast", 0.4, True), ("brightness", 0.05, False)]
    rows = [
        {**drift, "fact": fact, "distance": far, "alert": alert, "p_value": 0.5, "words": "it fell"}
        for fact, far, alert in facts
    ]
    write_rows(store, tables.drift("r").part("b", 0), rows, schemas.DRIFT)
    summary = batch_page.summary_of(store, batch_page.HEAD, alerts=["it fell"], notes=["a note"])
    heat = CardHeatMap(png(np.full((4, 4, 4), 128, np.uint8)), "caries")
    with catalog.open_store(store) as con, pytest.MonkeyPatch.context() as patch:
        # The head of this store has a card alone.
        patch.setattr(
            batch_pictures, "card_heat_maps", lambda *given: (dict.fromkeys(given[-1], heat), None)
        )
        return store.local_path(write_report(con, store, summary))


def write_other_pages(root):
    """Pages of a head, of nights and of a store, in their folder."""
    made = SyntheticStore(Store(str(root))).add_trunk().add_head("h0", 0.3).promote("h0")
    random = np.random.default_rng(0)
    rows = [made.crop_facts(n) | {"pixels": random.bytes(SIDE**2)} for n in made.crop_numbers(0)]
    write_rows(made.store, tables.crops("r0", SIDE).part("b0", 0), rows, schemas.crops(SIDE))
    model_page.write_page(made.store, evaluate_head(made.store, "h0", 4))
    settings = config.load(store=str(root))
    night = NightRecord(failures=["inbox: ConfigError"], many_rejected=True)
    counts, why = {"accepted": 5, "rejected": 2}, ["more than 10% of the files were rejected"]
    night.batches["b0"] = BatchNight("new", counts, 7.4, None, ["ALERT it fell"], {}, why)
    write_night(made.store, night, settings)
    index_page.write_nights_page(made.store, settings)
    with catalog.open_store(made.store) as con:
        index_page.write_index(made.store, index_page.index_facts(con))
    return made.store.local_path("reports")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Paths of the pages by name."""
    other = write_other_pages(tmp_path_factory.mktemp("other"))
    names = {"model": "evaluation-h0", "index": "index", "nights": "nightly"}
    batch = write_batch_page(tmp_path_factory.mktemp("batch"))
    return {"batch": batch} | {key: other / f"{name}.html" for key, name in names.items()}


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def test_the_batch_page_has_all_of_its_parts(pages):
    text = batch_page.visible(pages["batch"].read_text())
    assert "1 of batch earlier" in text
    assert "6 pairs of accepted scans look alike; the 4 most alike are shown" in text
    assert "PX 12 patients, 40 in the reference" in text
    assert "1 file rejected: see what to do about each below" in text
    assert "The longest stage is embed: 61% of 6.5 s." in text
    assert "blurred" in text


def test_a_checkbox_hides_the_heat_maps_of_all_cards(browser, pages):
    page = browser.new_page()
    page.goto(pages["batch"].as_uri())
    maps = page.locator(".gallery .heat")
    assert maps.count() == 4
    assert maps.first.get_attribute("alt") == "heat map of caries"
    assert maps.first.bounding_box() == page.locator(".picture").first.bounding_box()
    page.get_by_label("Heat maps").uncheck()
    assert not any(each.is_visible() for each in maps.all())
    page.close()


@pytest.mark.parametrize("name", ["batch", "model", "index", "nights"])
def test_axe_finds_nothing_and_a_phone_needs_no_sideways_scrolling(browser, pages, name):
    for scheme, width in VIEWS:
        size = {"width": width, "height": 900}
        context = browser.new_context(color_scheme=scheme, viewport=size)
        page, problems, asked = context.new_page(), [], []
        # A style that the content policy refuses is an error of the console.
        page.on("console", lambda line, found=problems: found.append(line.text))
        page.on("request", lambda request, found=asked: found.append(request.url))
        page.goto(pages[name].as_uri())
        assert violations(page) == ""
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert problems == []
        assert all(url.startswith(("file:", "data:")) for url in asked)
        context.close()
