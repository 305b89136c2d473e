"""Evaluation and promotion see the abnormal-probability that the work-list ranks by."""

import numpy as np
import pytest

from pipeline import config
from pipeline.learn.baselines import evaluate_rows
from pipeline.learn.scored_rows import scored_rows
from pipeline.learn.train_head import predict_rows
from pipeline.learn.training_rows import labelled_rows
from pipeline.model.head import networks
from pipeline.model.head.train import TrainedHead
from pipeline.model.network import compile_for_inference
from pipeline.stages.predict import Head, predict_part
from pipeline.store import catalog
from pipeline.store.registry import stored_choice, write_model, write_patients
from tests.builders.synthetic_store import CLASSES, RECIPE, WIDTH, SyntheticStore


class FoundTeeth(SyntheticStore):
    """Every second pair of crops are found teeth, the others are delivered boxes."""

    def crop_facts(self, number):
        return super().crop_facts(number) | {"region_kind": ("box", "tooth")[number // 2 % 2]}


@pytest.fixture
def made(store):
    """A store with a head that learned a background, without predictions."""
    made = FoundTeeth(store).add_trunk().promote("h0")
    model = networks.dense_network(WIDTH, config.Head(units=(8,)), len(CLASSES) + 1)
    random = np.random.default_rng(0)
    model.set_weights([random.normal(0, 0.02, each.shape) for each in model.get_weights()])
    made.model = compile_for_inference(model)
    card = {"head": "h0", "trunk": "t0", "recipe_id": RECIPE, "threshold": 0.5}
    card |= {"classes": list(CLASSES), "normal_class": CLASSES[0]}
    write_patients(store, "models/heads/h0", [])
    write_model(store, "models/heads/h0", made.model, card)
    return made


def predicted(made):
    """p_abnormal by crop, as the tables of readers hold it."""
    chosen = stored_choice(made.store, "t0")
    for batch in ("b0", "b1"):
        predict_part(made.store, batch, 0, chosen, Head(made.store, "h0"))
    with catalog.open_store(made.store) as con:
        rows = con.table("predictions").select("crop_id, p_abnormal").df()
    return rows.set_index("crop_id")["p_abnormal"]


def test_a_labelled_found_tooth_has_the_p_abnormal_of_the_work_list(made):
    before = scored_rows(made.store, Head(made.store, "h0"))
    stored = predicted(made)
    after = scored_rows(made.store, Head(made.store, "h0"))
    for rows in (before, after):
        found = (rows.facts["region_kind"] == "tooth").to_numpy()
        assert 0 < found.sum() < len(found)
        assert rows.p_abnormal.tolist() == stored[rows.facts["crop_id"]].tolist()
        without_background = 1 - rows.of_class(CLASSES[0])
        assert (rows.p_abnormal[found] < 0.99 * without_background[found]).all()
        assert rows.p_abnormal[~found] == pytest.approx(without_background[~found])


def test_the_threshold_of_a_card_is_chosen_on_the_p_abnormal_of_the_work_list(made):
    stored = predicted(made)
    settings = config.Settings(store=str(made.store.root))
    chosen = stored_choice(made.store, "t0")
    rows = labelled_rows(made.store, chosen, settings)
    trained = TrainedHead(made.model, CLASSES, (), 1, 1.0, False, 1, 0)
    found = predict_rows(trained, rows, chosen)
    assert found.p_abnormal.tolist() == stored[rows.facts["crop_id"]].tolist()
    point = evaluate_rows(rows, np.ones(len(rows.truth), bool), *found)["operating_point"]
    flagged = found.p_abnormal[rows.sides == "validation"] >= point["threshold"]
    validation = rows.truth[rows.sides == "validation"] > 0
    gain = flagged[validation].mean() - flagged[~validation].mean()
    assert gain == pytest.approx(point["youden"])
