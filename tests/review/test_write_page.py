import base64
import hashlib
import json
import re

import pytest

from pipeline.errors import ConfigError
from pipeline.review.cards import read_cards
from pipeline.review.page import file_html
from pipeline.review.write_page import build_page, page_name
from pipeline.store.open_store import open_for_writing
from pipeline.upkeep.find_traces import find_scan
from pipeline.upkeep.forget import forget
from pipeline.upkeep.undo import undo


@pytest.fixture(scope="module")
def page(built_store):
    from tests.builders.stores import small_store

    return build_page(small_store(built_store).settings, "one")


def data_of(page):
    return json.loads(re.search(r'id="data">(.+?)</script>', page)[1])


def test_a_file_has_every_picture_and_no_audit_crop(page, review_settings):
    data, cards = data_of(page), read_cards(review_settings, "one").by_id
    shown = {crop_id for crop_id, card in cards.items() if not card.get("audit")}
    assert {card["id"] for card in data["cards"]} == shown == data["pictures"].keys()
    assert data["heat"].keys() == data["about"].keys() == shown
    assert data["scans"].keys() == {card["scan"] for card in cards.values()}
    assert base64.b64decode(next(iter(data["pictures"].values())))[8:12] == b"WEBP"
    similar = {each["id"] for found in data["about"].values() for each in found["similar"]}
    assert similar <= shown


def test_a_file_runs_its_own_script_alone(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1].replace("&#39;", "'")
    (script,) = re.findall(r"<script>(.+?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy
    assert "unsafe" not in policy
    assert not re.search(r'\s(?:src|href)="(?!data:)', page.split('id="data"')[0])


def test_no_label_ends_the_element_of_the_data():
    page = file_html("b", {"label": "</script><script>alert(1)</script>"})
    assert page.count("</script>") == 2
    assert data_of(page) == {"label": "</script><script>alert(1)</script>"}


def test_a_batch_without_crops_is_refused(review_settings):
    with pytest.raises(ConfigError, match=r"Batch x has no crops .* dental query batches"):
        build_page(review_settings, "x")


def test_forgetting_a_scan_removes_every_page_that_shows_it(review_settings, page):
    opened = open_for_writing(review_settings)
    for batch, text in (("one", page), ("two", build_page(review_settings, "two"))):
        opened.store.write_bytes(page_name(batch), text.encode())
    scan_id = next(iter(read_cards(review_settings, "two").by_id)).split(":")[0]
    forget(opened, find_scan(opened, scan_id))
    assert opened.store.has(page_name("one"))
    assert not opened.store.has(page_name("two"))


def test_taking_a_batch_back_removes_its_page(review_settings, page):
    opened = open_for_writing(review_settings)
    opened.store.write_bytes(page_name("one"), page.encode())
    undo(opened, "one")
    assert not opened.store.has(page_name("one"))
