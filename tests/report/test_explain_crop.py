import io
import shutil
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ArtifactError, ConfigError
from pipeline.model.explain import explain
from pipeline.model.head import dense, sparse
from pipeline.model.head.dense import DenseNetwork, from_bytes, softmax
from pipeline.report import heat_map
from pipeline.report.batch_summary import Summary
from pipeline.report.card_heat_maps import card_heat_maps
from pipeline.report.explain_crop import explain_crop, heat_map_png
from pipeline.store import catalog
from pipeline.store.features import load_features
from pipeline.store.registry import champion, head_home, read_card
from pipeline.store.store import Store
from tests.builders.champions import add_champion, receive_and_embed
from tests.builders.scans import scan, write_files
from tests.builders.stores import small_store

GRID = (4, 4, 3)
WIDTH = 48


@st.composite
def heads(draw, number=np.random.Generator.normal):
    """Heads of none to two hidden layers and two to five classes, with a float16 embedding."""
    sizes = [WIDTH, *draw(st.lists(st.integers(1, 20), max_size=2)), draw(st.integers(2, 5))]
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pairs = list(pairwise(sizes))
    kernels = tuple(np.asarray(number(random, size=pair), np.float64) for pair in pairs)
    biases = tuple(np.asarray(number(random, size=size), np.float64) for _, size in pairs)
    embedding = np.abs(np.asarray(number(random, size=WIDTH))).astype(np.float16)
    return DenseNetwork(kernels, biases), embedding, draw(st.integers(0, sizes[-1] - 1))


def whole_numbers(random, size):
    return random.integers(-8, 9, size)


@settings(max_examples=60, deadline=None)
@given(heads(whole_numbers))
def test_cells_plus_constant_equal_the_logit_exactly_for_integers(case):
    head, embedding, normal = case
    found = explain(head, embedding, normal, GRID)
    logits = head.logits(embedding)
    assert found.cells.shape == (4, 4)
    assert found.cells.sum() + found.constant == logits[found.finding] - logits[normal]


@settings(max_examples=60, deadline=None)
@given(heads())
def test_cells_plus_constant_equal_the_logit_for_any_head(case):
    head, embedding, normal = case
    found = explain(head, embedding, normal, GRID)
    logits = head.logits(embedding)
    size = np.abs(found.cells).sum() + abs(found.constant)
    assert abs(found.difference - (logits[found.finding] - logits[normal])) <= 1e-13 * (1 + size)


@settings(max_examples=30, deadline=None)
@given(heads())
def test_finding_is_the_most_probable_class_that_is_not_normal(case):
    head, embedding, normal = case
    logits = head.logits(embedding)
    logits[normal] = -np.inf
    assert explain(head, embedding, normal, GRID).finding == logits.argmax()


def test_a_cell_sums_its_own_channels_in_row_column_channel_order():
    kernel = np.zeros((WIDTH, 2))
    kernel.reshape(*GRID, 2)[2, 1, :, 1] = [1, 10, 100]
    embedding = np.ones(WIDTH, np.float16)
    found = explain(DenseNetwork((kernel,), (np.array([0.0, -5.0]),)), embedding, 0, GRID)
    expected = np.zeros((4, 4))
    expected[2, 1] = 111
    np.testing.assert_array_equal(found.cells, expected)
    assert found.constant == -5


def test_embedding_of_another_width_is_refused():
    head = DenseNetwork((np.zeros((WIDTH, 2)),), (np.zeros(2),))
    with pytest.raises(ArtifactError, match=r"takes embeddings of 48 values, this one has 47"):
        explain(head, np.zeros(47, np.float16), 0, GRID)


def test_bytes_that_are_not_a_head_are_refused():
    with pytest.raises(ArtifactError, match="not a readable head"):
        from_bytes(b"not a model")
    assert softmax(np.array([1000.0, 1000.0])) == pytest.approx([0.5, 0.5])


@pytest.fixture(scope="module")
def explained(tmp_path_factory):
    """A store with one scan of two boxes and a champion; the folder of the scan; a crop's id."""
    root = tmp_path_factory.mktemp("explain")
    small = small_store(root)
    table = "file,x,y,w,h,label\na.png,10,10,10,10,caries\na.png,30,60,10,10,healthy\n"
    folder = write_files(root / "in", a_png=scan(90, 60), labels_csv=table)
    receive_and_embed(small, folder, "night")
    add_champion(small)
    with catalog.open_store(small.store) as con:
        (crop_id,) = catalog.query(con, "labelled").query("label == 'caries'")["crop_id"]
    return small, folder, crop_id


@pytest.fixture
def drawn(monkeypatch):
    """Overlays passed to `draw`, which draws nothing."""
    from pipeline.report import explain_crop as module

    overlays = []
    monkeypatch.setattr(module, "draw", lambda overlay: overlays.append(overlay) or b"")
    return overlays


def test_explanation_of_a_stored_crop_adds_up_to_its_logit(explained):
    small, _, crop_id = explained
    found = explain_crop(small.settings, crop_id)
    head = from_bytes(small.store.read_bytes("models/heads/h1/model.keras"))
    facts, embeddings = load_features(small.store)
    (row,) = np.flatnonzero(facts["crop_id"] == crop_id)
    logits = head.logits(embeddings[row])
    finding = ["healthy", "caries", "abscess"].index(found.finding)
    assert found.explanation.cells.shape == (8, 8)
    assert found.explanation.difference == pytest.approx(logits[finding] - logits[0], abs=1e-12)
    assert found.facts["label"] == "caries"


def summary_of(small):
    current = champion(small.store)
    return Summary("night", current["recipe"], current["trunk"], current["head"])


def test_maps_on_the_cards_of_a_page_equal_those_of_dental_explain(explained):
    small, *_ = explained
    summary = summary_of(small)
    crop_ids = load_features(small.store)[0]["crop_id"].tolist()
    card = read_card(small.store, head_home(summary.head))
    maps, reason = card_heat_maps(small.store, summary, card, crop_ids)
    assert (sorted(maps), reason) == (sorted(crop_ids), None)
    for crop_id, found in maps.items():
        expected = explain_crop(small.settings, crop_id)
        cells = expected.explanation.cells
        pixels = cv2.imdecode(np.frombuffer(found.image, np.uint8), cv2.IMREAD_UNCHANGED)
        strength = pixels[..., 3] / (255 * heat_map.OPACITY)
        np.testing.assert_allclose(strength, np.abs(cells) / np.abs(cells).max(), atol=1 / 255)
        np.testing.assert_array_equal(pixels[..., 2] > pixels[..., 0], cells > 0)
        assert found.finding == expected.finding


def test_what_is_kept_of_a_sparse_head_gives_the_same_maps_and_is_made_again_when_damaged(
    explained, monkeypatch
):
    small, _, crop_id = explained
    summary = summary_of(small)
    home = head_home(summary.head)
    arguments = small.store, summary, read_card(small.store, home), [crop_id]
    expected, _ = card_heat_maps(*arguments)
    kept = f"{home}/model.sparse.npz"
    assert not small.store.has(kept)
    monkeypatch.setattr(sparse, "MOST", 1)
    assert card_heat_maps(*arguments)[0].keys() == expected.keys()
    data = small.store.read_bytes(kept)
    monkeypatch.setattr(dense, "from_bytes", None)
    pixels = [
        cv2.imdecode(np.frombuffer(found[crop_id].image, np.uint8), cv2.IMREAD_UNCHANGED)
        for found in (expected, card_heat_maps(*arguments)[0])
    ]
    np.testing.assert_allclose(*(each[..., 3].astype(int) for each in pixels), atol=1)
    monkeypatch.undo()
    small.store.write_bytes(kept, data[:100])
    monkeypatch.setattr(sparse, "MOST", 1)
    assert card_heat_maps(*arguments)[1] is None
    assert small.store.read_bytes(kept) == data
    small.store.remove(kept)


def test_a_head_that_cannot_be_read_gives_a_page_without_maps(explained, tmp_path):
    small, _, crop_id = explained
    store = Store(str(shutil.copytree(small.settings.store, tmp_path / "store")))
    summary = summary_of(small)
    home = head_home(summary.head)
    arguments = store, summary, read_card(store, home), [crop_id]
    data = bytearray(store.read_bytes(f"{home}/model.keras"))
    data[len(data) // 2] ^= 1
    store.write_bytes(f"{home}/model.keras", bytes(data))
    maps, reason = card_heat_maps(*arguments)
    assert (maps, "not a readable head" in reason) == ({}, True)
    store.remove(f"{home}/model.keras")
    assert card_heat_maps(*arguments) == ({}, f"{home}/model.keras is missing.")


def test_map_is_drawn_on_the_stored_crop_or_at_its_position_on_the_scan(explained, drawn):
    small, _, crop_id = explained
    found = explain_crop(small.settings, crop_id)
    heat_map_png(small.settings, found, None, False)
    heat_map_png(small.settings, found, None, True)
    crop, whole = drawn
    assert (crop.pixels.shape, crop.square) == ((32, 32), (0, 0, 32, 32))
    # 0.6 of the shorter edge, around the centre of the box.
    assert (whole.pixels.shape, whole.square) == ((90, 60), (-3, -3, 36, 36))


def test_without_stored_crops_the_delivered_scan_is_read_or_must_be_named(
    explained, drawn, tmp_path
):
    small, folder, crop_id = explained
    root = tmp_path / "copy"
    shutil.copytree(small.settings.store, root / "store")
    shutil.rmtree(root / "store" / "crops")
    settings = small.settings.model_copy(
        update={"store": str(root / "store"), "private": small.private.root}
    )
    found = explain_crop(settings, crop_id)
    heat_map_png(settings, found, None, False)
    assert drawn[0].pixels.shape == (90, 60)

    moved = shutil.copytree(folder, tmp_path / "moved")
    (folder / "a.png").rename(folder / "hidden")
    try:
        with pytest.raises(
            ConfigError, match=r"Put it back, or name the file where it is now: --scan"
        ):
            heat_map_png(settings, found, None, False)
        heat_map_png(settings, found, moved / "a.png", False)
        with pytest.raises(ConfigError, match=r"is not scan .* or was changed"):
            heat_map_png(settings, found, moved / "labels.csv", False)
    finally:
        (folder / "hidden").rename(folder / "a.png")
    assert len(drawn) == 2


def test_unknown_crop_and_store_without_champion_are_refused(explained, tmp_path):
    small, *_ = explained
    with pytest.raises(ConfigError, match=r"no crop `x:whole` .*dental worklist"):
        explain_crop(small.settings, "x:whole")
    with pytest.raises(ConfigError, match=r"has no head yet.*dental train"):
        explain_crop(small_store(tmp_path).settings, "x:whole")


def test_image_shows_evidence_in_two_colours_with_caveat():
    from matplotlib import image
    from matplotlib.text import Text

    cells = np.zeros((4, 4))
    cells[0, 0], cells[3, 3] = 2, -2
    texts = []
    with pytest.MonkeyPatch.context() as patch:
        set_text = Text.set_text
        patch.setattr(
            Text, "set_text", lambda self, text: texts.append(text) or set_text(self, text)
        )
        data = heat_map.draw(
            heat_map.Overlay(
                pixels=np.full((40, 40), 128, np.uint8),
                square=(-5, 10, 20, 20),
                cells=cells,
                constant=0.5,
                finding="caries",
                normal="healthy",
                facts={"crop": "x:whole", "label": "none"},
            )
        )
    picture = image.imread(io.BytesIO(data))[..., :3]
    orange = picture[..., 0] > picture[..., 2] + 0.3
    blue = picture[..., 2] > picture[..., 0] + 0.3
    # Each of two cells of 1/16, on its panel at least.
    assert orange.sum() > 500
    assert blue.sum() > 500
    text = " ".join(map(str, texts))
    assert "For research, not for diagnosis." in text
    assert "blue: evidence for healthy" in text
    assert "orange: evidence for caries" in text
    assert "+0.50 = cells +0.00, constant +0.50" in text
