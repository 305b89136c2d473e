"""What the review server refuses; no socket is opened."""

import re

import pytest

from pipeline.review.review import Review
from pipeline.review.security import HEADERS, REVIEWER_HEADER, Access
from pipeline.review.server import ReviewServer
from pipeline.store.store import Store
from tests.builders.asgi_browser import AsgiBrowser
from tests.builders.stores import read_table
from tests.review.conftest import copied

PORT = 8123
HOST = f"http://127.0.0.1:{PORT}"


@pytest.fixture
def access():
    return Access(["ann", "bob"], PORT)


@pytest.fixture(scope="module")
def shared(built_store, tmp_path_factory):
    """A review of a copy of the store that no test of this module writes to."""
    review = Review(copied(built_store, tmp_path_factory.mktemp("shared")))
    review.refresh()
    return review


@pytest.fixture
def app(shared, access):
    return ReviewServer(shared, access).app()


@pytest.fixture
def own_app(review_settings, access):
    """The server of a store that the test may write to."""
    review = Review(review_settings)
    review.refresh()
    return ReviewServer(review, access).app()


def client(app, access, reviewer=None):
    """A browser, after its reviewer opened the link."""
    found = AsgiBrowser(app, HOST)
    if reviewer:
        assert found.get(access.urls()[reviewer]).status_code == 200
    return found


@pytest.fixture
def ann(app, access):
    return client(app, access, "ann")


@pytest.fixture
def crop_id(shared):
    return next(card["id"] for card in shared.cards_for("ann") if "p" in card)


def decide(browser, crop_id, reviewer="ann", headers=(), **body):
    sent = {"crop_id": crop_id, "decision": "label", "label": "caries", **body}
    named = {REVIEWER_HEADER: reviewer} if reviewer else {}
    return browser.post("/api/decide", json=sent, headers=named | dict(headers))


def stored(settings):
    return read_table(Store(settings.store), "labels").query("source != 'delivered'")


PATHS = [
    *("/", "/api/cards", "/api/crop/x:whole", "/api/scan/x", "/api/about/x", "/api/heat/x"),
    "/api/agreement",
]


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_shown_without_a_cookie(app, access, path):
    answer = client(app, access).get(path)
    assert answer.status_code == 401
    assert not re.search("[0-9a-f]{32}", answer.text)


def test_a_link_works_once_and_in_one_browser(app, access):
    link = access.urls()["ann"]
    first, second = client(app, access), client(app, access)
    assert first.get(link).status_code == 200
    assert first.get("/").status_code == 200
    assert second.get(link).status_code == 403
    assert second.get("/").status_code == 401
    # The browser that has the cookie may open its link again.
    assert first.get(link).status_code == 200
    assert client(app, access).get("/login/guessed").status_code == 403


def test_what_only_looks_at_a_link_does_not_use_it_up(app, access):
    link = access.urls()["ann"]
    assert client(app, access).request("HEAD", link).status_code == 204
    prefetch = {"sec-purpose": "prefetch"}
    assert client(app, access).get(link, headers=prefetch).status_code == 204
    assert client(app, access).get(link).status_code == 200


def test_the_cookie_is_hidden_from_scripts_and_from_other_sites(app, access):
    cookie = client(app, access).get(access.urls()["ann"]).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "domain" not in cookie
    # Browsers share cookies between the ports of a host.
    assert cookie.startswith(f"dental_review_{PORT}=")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8123", "127.0.0.1:80", "127.0.0.1.evil.example:8123", ""]
)
def test_another_host_is_refused_before_anything_else(app, access, host):
    # A site whose name was made to point to this machine sends its own name (DNS rebinding).
    answer = client(app, access).get(access.urls()["ann"], headers={"host": host})
    assert answer.status_code == 421
    assert "ann" in access.urls(), "the link was used up"


def test_localhost_is_this_machine_too(app, access):
    answer = client(app, access).get(access.urls()["ann"], headers={"host": f"localhost:{PORT}"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("reviewer", "headers", "message"),
    [
        (None, {}, "header x-dental-reviewer is missing"),
        ("bob", {}, "belongs to another reviewer"),
        ("ann", {"origin": "https://evil.example"}, "from another site"),
        ("ann", {"origin": "null"}, "from another site"),
        ("ann", {"origin": "http://127.0.0.1:9999"}, "from another site"),
        ("ann", {"sec-fetch-site": "cross-site"}, "from another site"),
        ("ann", {"sec-fetch-site": "same-site"}, "from another site"),
    ],
)
def test_writes_come_from_the_page_of_the_reviewer_alone(
    ann, crop_id, shared, reviewer, headers, message
):
    answer = decide(ann, crop_id, reviewer, headers)
    assert answer.status_code == 403
    assert message in answer.json()["error"]
    assert stored(shared.settings).empty


def test_a_form_or_a_link_of_another_site_cannot_write(ann, crop_id, shared):
    assert ann.post("/api/decide", data={"crop_id": crop_id}).status_code == 403
    assert ann.get(f"/api/decide?crop_id={crop_id}&decision=unsure").status_code == 405
    assert stored(shared.settings).empty


def test_a_request_writes_for_its_cookie_whatever_it_names(
    own_app, access, crop_id, review_settings
):
    ann = client(own_app, access, "ann")
    assert decide(ann, crop_id, reviewer="ann", source="bob").status_code == 200
    assert stored(review_settings)["source"].tolist() == ["ann"]


def test_a_reviewer_cannot_undo_what_another_decided(own_app, access, crop_id, review_settings):
    decide(client(own_app, access, "ann"), crop_id)
    bob = client(own_app, access, "bob")
    sent = {"crop_id": crop_id, "decision": "label", "label": "caries"}
    answer = bob.post("/api/undo", json=sent, headers={REVIEWER_HEADER: "bob"})
    assert "mine" not in answer.json()["card"]
    assert stored(review_settings)["decision"].tolist() == ["label"]


@pytest.mark.parametrize(
    "name",
    [
        "../../store.json",
        "..%2f..%2fstore.json",
        "%2e%2e/%2e%2e/store.json",
        "/etc/passwd",
        "%00",
        "crops",
        "' or 1=1 --",
    ],
)
@pytest.mark.parametrize("kind", ["crop", "scan", "about", "heat"])
def test_no_path_from_outside_reaches_a_file(ann, kind, name):
    answer = ann.get(f"/api/{kind}/{name}")
    assert answer.status_code == 404
    assert "key_check" not in answer.text


@pytest.mark.parametrize(
    "path", ["/review.js/../page.py", "/../pipeline/review/page.py", "/page.py"]
)
def test_only_the_script_and_the_style_sheet_are_files(ann, path):
    assert "import" not in ann.get(path).text
    assert ann.get("/review.js").headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("path", ["/", "/login/x", "/review.js", "/api/cards", "/nothing"])
def test_every_answer_forbids_caching_framing_and_foreign_content(ann, path):
    headers = ann.get(path).headers
    assert HEADERS.items() <= dict(headers).items()
    assert headers["cache-control"] == "no-store"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "server" not in headers


def test_pages_have_no_inline_script_or_style(ann):
    page = ann.get("/").text
    assert re.findall(r"<script[^>]*>", page) == ['<script src="/review.js">']
    assert "<style" not in page
    assert not re.search(r"\son\w+=|\sstyle=|javascript:", page)


def test_a_box_is_four_whole_numbers(ann, crop_id, shared):
    headers = {REVIEWER_HEADER: "ann"}
    for box in (None, [1, 2, 3], [1, 2, 3, "4"], [1, 2, 3, 4.5], [1, 2, 3, True], {}):
        sent = {"crop_id": crop_id, "box": box, "label": "caries"}
        assert ann.post("/api/draw", json=sent, headers=headers).status_code == 400
    sent = {"crop_id": crop_id, "box": [1, 2, 30, 40], "label": "caries"}
    assert ann.post("/api/draw", json=sent, headers={REVIEWER_HEADER: "bob"}).status_code == 403
    assert not shared.store.names("regions")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"crop_id": 1}', b'{"crop_id": "x"}'])
def test_malformed_requests_are_refused_without_a_traceback(ann, body):
    headers = {REVIEWER_HEADER: "ann"}
    answer = ann.post("/api/decide", content=body, headers=headers)
    assert answer.status_code == 400
    assert "Traceback" not in answer.text
    large = ann.post("/api/decide", content=b" " * 20_000, headers=headers)
    assert large.status_code == 403


def test_scores_of_blind_crops_are_not_sent(ann, crop_id):
    cards = ann.get("/api/cards").json()["cards"]
    for card in cards:
        if card.get("blind"):
            assert not {"p", "predicted", "probabilities", "label", "next", "novelty"} & set(card)
            assert ann.get(f"/api/heat/{card['id']}").status_code == 404
            assert ann.get(f"/api/about/{card['id']}").status_code == 404
    assert any(card.get("blind") for card in cards)
    assert ann.get(f"/api/heat/{crop_id}").json()["finding"] in ("caries", "abscess")


def test_pictures_are_webp_and_need_no_tensorflow(ann, crop_id):
    import sys

    answer = ann.get(f"/api/crop/{crop_id}")
    assert answer.headers["content-type"] == "image/webp"
    assert answer.content[:4] == b"RIFF"
    assert ann.get(f"/api/scan/{crop_id.split(':')[0]}").content[8:12] == b"WEBP"
    assert "pipeline.review.server" in sys.modules
