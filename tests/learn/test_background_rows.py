"""Background: cut from annotated panoramics, stored separately, learned as its own class."""

import gc
import weakref

import numpy as np
import pandas as pd
import pytest

from pipeline import config, schemas
from pipeline.imaging import regions
from pipeline.imaging.crops import Place
from pipeline.imaging.frame import Frame
from pipeline.jobs import resources
from pipeline.jobs.process_batch import run_batch
from pipeline.learn.background_rows import background_rows
from pipeline.learn.crop_source import on_sides
from pipeline.model.head import abnormal_probability, networks, train
from pipeline.model.head.rows import (
    Background,
    ConcatenatedEmbeddings,
    HeadData,
    InMemoryEmbeddings,
)
from pipeline.stages.plan import deliver
from pipeline.store.parts import read_part
from pipeline.store.registry import choose_models
from tests.builders.fakes import InProcessPool, use_fakes
from tests.builders.scans import panoramic, write_files
from tests.builders.stores import RECIPE, small_store

BOXES = [regions.Annotated(Place(20, 20, 12, 20), "caries", None)]


def test_background_is_where_the_finder_scores_lowest_and_never_in_a_box():
    pixels = panoramic(seed=1)
    found = regions.find_background(Frame(pixels), None, BOXES, RECIPE)
    teeth = regions.find_regions(Frame(pixels), None, [], RECIPE)
    assert found
    assert {(each.kind, each.label) for each in found} == {("background", None)}
    assert {each.square for each in found} <= {each.square for each in teeth[regions.TEETH :]}
    for each in found:
        (x, y), (left, top, w, h) = each.square.centre, BOXES[0].place
        assert not (left < x < left + w and top < y < top + h)


def test_only_annotated_panoramics_have_a_background():
    assert regions.find_background(Frame(panoramic(seed=1)), None, [], RECIPE) == []
    assert regions.find_background(Frame(panoramic(seed=1)[:, :60]), None, BOXES, RECIPE) == []


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A store of three patients' panoramics with a box each."""
    root = tmp_path_factory.mktemp("background")
    lines = ["file,patient,label,x,y,w,h"]
    for number in range(3):
        write_files(root / "in", **{f"s{number}_png": panoramic()})
        lines.append(f"s{number}.png,p{number},{('healthy', 'caries')[number % 2]},40,20,12,20")
    store = small_store(root)
    with pytest.MonkeyPatch.context() as patch:
        use_fakes(patch)
        run_batch(store, deliver(write_files(root / "in", t_csv="\n".join(lines)), "b", store))
    return store, choose_models(store.settings, store.store)


def test_crops_are_released_once_they_are_stored(tmp_path, monkeypatch):
    # pyarrow 26 never lets go of a memoryview in a column made from Python objects: a batch kept 3
    # MB of every panoramic until its end.
    held = []

    class Watched(InProcessPool):
        def map(self, work, items):
            for read in super().map(work, items):
                held.append(weakref.ref(read.crops[0].base))
                yield read

    use_fakes(monkeypatch)
    monkeypatch.setattr(resources, "WorkerPool", Watched)
    folder = write_files(tmp_path / "in", a_png=panoramic(), b_png=panoramic())
    boxed = write_files(folder, t_csv="file,label,x,y,w,h\na.png,caries,40,20,12,20")
    store = small_store(tmp_path)
    run_batch(store, deliver(boxed, "b", store))
    gc.collect()
    assert [image() for image in held] == [None, None]


def rows_of(store, chosen, table, schema):
    names = store.store.names(
        f"{table}/{chosen.recipe_id if 'crops' in table else chosen.trunk_id}"
    )
    return pd.concat([read_part(store.store, name, schema).to_pandas() for name in names])


def test_background_is_stored_separately_from_crops_and_features(filled):
    store, chosen = filled
    crops, features = schemas.crops(32), schemas.features(chosen.width)
    assert len(rows_of(store, chosen, "crops", crops)) == 3
    assert len(rows_of(store, chosen, "features", features)) == 3
    places = rows_of(store, chosen, "background_crops", crops)
    assert set(places["region_kind"]) == {"background"}
    assert places["crop_id"].nunique() > 3 * 3
    embedded = rows_of(store, chosen, "background_features", features)
    assert embedded["crop_id"].tolist() == places["crop_id"].tolist()
    assert embedded["crop_id"].tolist() != sorted(embedded["crop_id"])
    ours = background_rows(store.store, chosen)
    first = embedded[embedded["crop_id"] == ours.facts["crop_id"][0]]["embedding"].iloc[0]
    assert (ours.embeddings.array[0] == first).all()


def test_only_background_of_patients_of_the_training_side_is_learned_from(filled):
    store, chosen = filled
    ours = background_rows(store.store, chosen)
    patients = ours.facts["patient_key"].unique()
    sides = np.array(["train", "validation", "train"])
    learned = ours.for_training(patients, sides)
    assert learned.learn.sum() == 2
    assert set(ours.facts["patient_key"][learned.learn]) <= {patients[0], patients[2]}
    assert ours.for_training(patients, np.array(["test"] * 3)) is None


def test_every_epoch_draws_as_much_background_as_there_are_labelled_crops(filled):
    store, chosen = filled
    labelled = rows_of(store, chosen, "crops", schemas.crops(32))
    truth, sides = np.array([0, 1, 0]), np.array(["train", "train", "validation"])
    source = on_sides(store.store, chosen, labelled["crop_id"], truth, sides, ("healthy", "caries"))
    assert (source.class_count, source.background) == (3, True)
    assert sorted(source.classes) == [0, 1, 2, 2]
    drawn = [
        np.concatenate([classes for _, classes in source.training(np.random.default_rng(seed))])
        for seed in (0, 1)
    ]
    assert [sorted(each) for each in drawn] == [[0, 1, 2, 2]] * 2
    assert np.concatenate([classes for _, classes in source.validation()]).tolist() == [0]


def test_without_labels_no_background_is_learned(filled):
    store, chosen = filled
    labelled = rows_of(store, chosen, "crops", schemas.crops(32))
    sides = np.array(["train", "train", "validation"])
    source = on_sides(store.store, chosen, labelled["crop_id"], np.zeros(3, int), sides, ("",))
    assert (source.class_count, source.background, len(source.background_facts)) == (1, False, 0)
    assert source.classes.tolist() == [0, 0]


def test_background_counts_at_a_found_place_but_not_around_a_delivered_box():
    outputs = np.array([[0.1, 0.3, 0.6], [0.1, 0.3, 0.6]], np.float32)
    found = abnormal_probability.to_predictions(outputs, 2, 0, ["box", "tooth"])
    np.testing.assert_allclose(found.probabilities, [[0.25, 0.75]] * 2, rtol=1e-6)
    np.testing.assert_allclose(found.p_abnormal, [0.75, 0.3], rtol=1e-6)
    assert found.p_abnormal.dtype == np.float32


def test_outputs_of_a_head_without_background_are_its_probabilities():
    outputs = np.array([[0.25, 0.75]], np.float32)
    found = abnormal_probability.to_predictions(outputs, 2, 0, ["tooth"])
    assert (found.probabilities == outputs).all()
    assert found.p_abnormal.tolist() == [0.75]


def test_a_head_separates_background_from_classes_and_is_validated_without_it():
    random = np.random.default_rng(0)
    classes = np.arange(120) % 2
    rows = np.eye(3)[classes].repeat(4, axis=1) + random.normal(0, 0.2, (120, 12))
    nothing = np.eye(3)[2].repeat(4) + random.normal(0, 0.2, (40, 12))
    rows, nothing = rows.astype("float16"), nothing.astype("float16")
    learn, names = np.arange(120) < 80, ("healthy", "caries")
    settings = config.Head(units=(16,), epochs=20, patience=20, learning_rate=1e-2)
    places = Background(InMemoryEmbeddings(nothing), np.arange(40) < 30)
    data = HeadData(InMemoryEmbeddings(rows), classes, names, learn, ~learn, background=places)
    trained = train.train(data, settings)
    assert (trained.class_names, trained.background) == (names, 30)
    known, share = abnormal_probability.split_background(networks.predict(trained.model, rows), 2)
    _, of_nothing = abnormal_probability.split_background(
        networks.predict(trained.model, nothing), 2
    )
    assert (known.argmax(axis=1) == classes).mean() > 0.95
    assert share[~learn].max() < 0.5 < of_nothing.min()
    assert trained.epochs[-1]["validation_accuracy"] > 0.95


@pytest.mark.parametrize("random", [None, np.random.default_rng(0)])
def test_concatenated_sources_are_read_as_one(random):
    one, other = np.arange(6).reshape(3, 2), 10 + np.arange(8).reshape(4, 2)
    joined = ConcatenatedEmbeddings(InMemoryEmbeddings(one), 3, InMemoryEmbeddings(other))
    mask = np.array([True, False, True, False, True, True, False])
    pieces = list(joined.blocks(mask, random))
    numbers = np.concatenate([numbers for numbers, _ in pieces])
    rows = np.concatenate([rows for _, rows in pieces])
    order = np.argsort(numbers)
    assert numbers[order].tolist() == [0, 2, 4, 5]
    assert (rows[order] == np.concatenate([one, other])[[0, 2, 4, 5]]).all()
