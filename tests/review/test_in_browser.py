"""The page in Chromium, as a reviewer uses it: one server and one browser for all tests.

Every test is a reviewer of its own, so that none meets the decisions of another one.
"""

import csv
from pathlib import Path

import pytest

from pipeline.learn.feedback import take_feedback
from pipeline.review.write_page import build_page
from pipeline.store import catalog
from pipeline.store.store import Store
from tests.builders.browser import chromium, violations
from tests.builders.stores import read_table
from tests.review.browser import Server
from tests.review.conftest import copied

pytestmark = pytest.mark.slow
REVIEWERS = [f"r{number}" for number in range(10)]
ALL = "#show=all"
SLOWEST = 15_000  # milliseconds until a page shows what it should; a busy machine is slow


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def settings(built_store, tmp_path_factory):
    return copied(built_store, tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def server(browser, settings):
    started = Server(settings.store, REVIEWERS)
    yield started
    started.kill()


@pytest.fixture(scope="module")
def codes():
    return iter(REVIEWERS)


class Window:
    """One window of a reviewer."""

    def __init__(self, page):
        self.page = page
        self.errors = []
        page.set_default_timeout(SLOWEST)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda line: line.type == "error" and self.errors.append(line.text))

    def open(self, address):
        self.page.goto(address)
        self.page.wait_for_selector("body[data-shown]")
        return self

    @property
    def shown(self):
        """The crop in view."""
        return self.page.get_attribute("body", "data-shown")

    def press(self, *keys):
        """Press keys as fast as the page takes them: none is lost to a decision on its way."""
        for key in keys:
            self.page.wait_for_selector("body:not([aria-busy])")
            self.page.keyboard.press(key)
        self.page.wait_for_selector("body:not([aria-busy])")
        return self

    def press_and_wait(self, key):
        """Press a key that leads to another crop."""
        before = self.shown
        self.page.keyboard.press(key)
        self.page.wait_for_selector(f"body[data-shown]:not([data-shown='{before}'])")
        self.page.wait_for_selector("body:not([aria-busy])")

    def text(self, selector):
        return self.page.inner_text(selector)

    @property
    def card(self):
        """What the page holds of the crop in view."""
        return self.page.evaluate("state.cards.get(state.id)")


@pytest.fixture
def login(browser, server, codes):
    """Open a window of the next reviewer: `login(hash)` gives it and the reviewer's code."""
    contexts = []

    def open_window(where=ALL, **options):
        code = next(codes)
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 850}} | options)
        contexts.append(context)
        window = Window(context.new_page())
        window.open(server.links[code])
        if where:
            window.page.goto(f"{server.home}{where}")
            window.page.reload()
            window.page.wait_for_selector("body[data-shown]")
        return window, code

    yield open_window
    for context in contexts:
        context.close()


def stored(settings, code):
    """A reviewer's decisions: crop, decision and label, the oldest first."""
    rows = read_table(Store(settings.store), "labels").query(f"source == '{code}'")
    rows = rows.sort_values("labelled_at")[["crop_id", "decision", "label"]].astype(object)
    return [tuple(row) for row in rows.where(rows.notna(), None).to_numpy()]


def test_page_shows_the_first_crop_and_filters(login):
    window, _ = login()
    page = window.page
    assert page.evaluate("document.getElementById('crop').naturalWidth") == 32
    assert window.text("#count") == "0 of 24"
    assert "Prediction:" in window.text("#scores")
    page.wait_for_selector("#similar img")
    page.wait_for_selector("#scan image[href]")
    assert page.locator("#scan rect:not(.square)").count() == 3
    window.press("f")
    page.select_option("[name=batch]", "two")
    page.wait_for_selector("#count:text-is('0 of 6')")
    assert window.text("#count") == "0 of 6"
    page.select_option("[name=tooth]", "36")
    assert window.text("#count") == "0 of 2"
    page.select_option("[name=sort]", "unlikely")
    scores = page.evaluate("state.queue.map((id) => state.cards.get(id).p)")
    assert scores == sorted(scores)
    page.fill("[name=low]", "2")
    page.press("[name=low]", "Tab")
    assert "No crop matches" in window.text("#alert")
    assert not window.errors


def test_review_by_keyboard_alone(login, settings):
    window, code = login("#show=all&sort=likely&low=0")  # a bound on p leaves audit crops out
    first, predicted = window.shown, window.card["predicted"]
    window.press_and_wait("Enter")
    assert stored(settings, code) == [(first, "label", predicted)]
    second = window.shown
    window.press_and_wait("2")
    third = window.shown
    window.press_and_wait("0")
    fourth = window.shown
    window.press_and_wait("u")
    fifth = window.shown
    window.press_and_wait("s")
    assert window.shown not in (first, second, third, fourth, fifth)
    labels = [(second, "label", "abscess"), (third, "label", "healthy"), (fourth, "unsure", None)]
    assert stored(settings, code)[1:] == labels
    assert window.text("#count").startswith("4 of 22")
    assert "s a crop" in window.text("#pace")
    window.press_and_wait("z")
    assert window.shown == fourth
    assert stored(settings, code)[4:] == [(fourth, "undo", None)]
    window.press("h")
    window.page.wait_for_selector("#heat:not([hidden])")
    window.press("?")
    assert window.page.is_visible("#keys")
    window.page.keyboard.press("Escape")
    # A reload keeps the place, and what can be undone.
    window.page.reload()
    window.page.wait_for_selector("body[data-shown]")
    assert window.shown == fourth
    assert window.text("#count") == "3 of 22"
    window.press_and_wait("z")
    assert window.shown == third
    assert not window.errors


def test_two_reviewers_work_at_once(login, settings):
    (one, first_code), (other, second_code) = login("#sort=likely"), login("#sort=likely")
    assert one.shown == other.shown
    taken, before = [], other.page.evaluate("state.queue.length")
    for _ in range(3):
        taken.append(one.shown)
        one.press_and_wait("1")
    other.press_and_wait("2")
    assert [row[0] for row in stored(settings, first_code)] == taken
    assert stored(settings, second_code) == [(taken[0], "label", "abscess")]
    one.page.click("#agreement summary")
    one.page.wait_for_selector("#agreement td:has-text('0.00 (')")
    # The other's list loses the crops that were decided meanwhile.
    assert other.shown not in taken
    assert other.page.evaluate("state.queue.length") == before - 2
    assert other.card["id"] not in taken


def test_a_missed_finding_is_drawn_by_keyboard_and_by_mouse(login, settings):
    window, code = login("#show=all&sort=likely&low=0")
    page, here = window.page, window.shown
    window.press("b", "2", "ArrowLeft", "Shift+ArrowDown", "Enter")
    page.wait_for_selector("#scan rect.missed")
    ((first, decision, label),) = stored(settings, code)
    assert (decision, label) == ("label", "abscess")
    assert first.startswith(f"{here.split(':')[0]}:drawn-")
    assert window.shown == here
    window.press("b")
    place = page.locator("#scan").bounding_box()
    middle = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 60, middle[1] + 80)
    page.mouse.up()
    page.select_option("#missed-label", "caries")
    page.click("#missed button[type=submit]")
    page.wait_for_selector("#scan rect.missed >> nth=1")
    second = stored(settings, code)[1]
    assert second[1:] == ("label", "caries")
    assert second[0].split("drawn-")[1].startswith("45-60-")
    window.press("Escape", "z")
    page.wait_for_selector("#scan rect.missed >> nth=1", state="detached")
    assert stored(settings, code)[2] == (second[0], "undo", None)
    page.reload()
    page.wait_for_selector("#scan rect.missed")
    assert page.locator("#scan rect.missed").count() == 1
    assert not window.errors


def test_audit_crops_show_no_score_before_the_decision(login, settings):
    window, code = login("#show=audit")
    crop_id = window.shown
    assert window.card["blind"]
    assert "Prediction" not in window.text("main")
    assert "%" not in window.text("#facts")
    assert not window.page.is_visible("#verdicts button:has-text('Heat map')")
    window.press("Enter", "h")
    assert stored(settings, code) == []
    window.press_and_wait("1")
    window.press_and_wait("p")
    assert window.shown == crop_id
    assert "Prediction:" in window.text("#scores")
    assert not window.errors


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(login, scheme):
    window, _ = login(color_scheme=scheme)
    window.page.wait_for_selector("#similar img")
    assert violations(window.page) == ""
    window.press("f", "Escape", "v", "h")
    window.page.wait_for_selector("#heat:not([hidden])")
    assert violations(window.page) == ""
    window.press("?")
    assert violations(window.page) == ""


def test_a_narrow_screen_needs_no_sideways_scrolling(login):
    window, _ = login(viewport={"width": 390, "height": 844})
    page = window.page
    page.wait_for_selector("#similar img")
    for keys in ((), ("f",), ("Escape", "v")):
        window.press(*keys)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator("#verdicts button").first.bounding_box()["y"] < 844


def test_a_decision_outlives_a_server_that_is_killed(browser, built_store, tmp_path):
    settings = copied(built_store, tmp_path)
    started = Server(settings.store, ["ann"])
    context = browser.new_context()
    try:
        window = Window(context.new_page()).open(started.links["ann"])
        first = window.shown
        window.press_and_wait("1")
        second = window.shown
        started.kill()
        window.page.keyboard.press("2")
        window.page.wait_for_selector("#alert:not([hidden])")
        assert "Not stored yet" in window.text("#alert")
        assert window.shown == second, "the next crop was shown before the decision was stored"
        started = Server(settings.store, ["ann"], started.port)
        # The session died with the server: the new link, in another tab of the browser.
        Window(context.new_page()).open(started.links["ann"])
        window.page.wait_for_selector(f"body:not([data-shown='{second}'])")
        expected = [(first, "label", "caries"), (second, "label", "abscess")]
        assert stored(settings, "ann") == expected
    finally:
        context.close()
        started.kill()


def test_a_file_is_reviewed_without_a_server(browser, settings, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(build_page(settings, "one"))
    context = browser.new_context(accept_downloads=True, viewport={"width": 390, "height": 844})
    window = Window(context.new_page())
    asked = []
    window.page.on("request", lambda request: asked.append(request.url))
    window.open(f"file://{path}")
    with catalog.open_store(settings.store) as con:
        audited = set(con.table("audits").to_arrow_table()["crop_id"].to_pylist())
    assert window.text("#count") == "0 of 16"
    assert not audited & set(window.page.evaluate("state.queue"))
    window.press("1")
    assert "Enter your code first" in window.text("#alert")
    window.page.fill("#code", "ann")
    window.page.keyboard.press("Escape")
    first = window.shown
    window.press_and_wait("1")
    second = window.shown
    window.press_and_wait("u")
    window.press_and_wait("0")
    window.press_and_wait("z")
    window.press("h")
    window.page.wait_for_selector("#heat:not([hidden])")
    assert window.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert violations(window.page) == ""
    window.page.reload()
    window.page.wait_for_selector("body[data-shown]")
    assert window.text("#count") == "2 of 16"
    with window.page.expect_download() as download:
        window.page.click("#save")
    with open(download.value.path(), newline="") as file:
        rows = {row["crop_id"]: row for row in csv.DictReader(file)}
    assert {key: row["label"] for key, row in rows.items()} == {first: "caries", second: "unsure"}
    assert {row["reviewer"] for row in rows.values()} == {"ann"}
    # What the file saved is a table that the store takes.
    taken = take_feedback(settings, Path(download.value.path()), agreed=True)
    assert (taken.appended, taken.unsure, taken.problems) == (2, 1, [])
    assert stored(settings, "ann") == [(first, "label", "caries"), (second, "unsure", None)]
    assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    assert not window.errors
    context.close()
