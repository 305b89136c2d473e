"""A store with a champion, made in a second: neither Keras nor a worker process is started."""

import io
import json
import zipfile

import h5py
import numpy as np

from pipeline import schemas
from pipeline.ingest.delivery_lists import DeliveryLists
from pipeline.model.head.abnormal_probability import to_predictions
from pipeline.model.head.dense import DenseNetwork, softmax
from pipeline.stages.duplicates import AcceptedInStore
from pipeline.stages.embed import embed_part
from pipeline.stages.plan import deliver, plan_batch
from pipeline.stages.receive import Receiver
from pipeline.store import tables
from pipeline.store.features import load_features
from pipeline.store.registry import choose_models
from tests.builders.tables import write_rows

CLASSES = ["healthy", "caries", "abscess"]
HEAD, THRESHOLD = "h1", 0.5


class InProcess:
    """A worker pool without worker processes, which take seconds to start."""

    map = staticmethod(map)


def keras_file(head):
    """A head in the file format of Keras; the tests of model/head check it against Keras."""
    last = len(head.kernels) - 1
    layers = [{"class_name": "InputLayer", "config": {}}] + [
        {
            "class_name": "Dense",
            "config": {"activation": "softmax" if number == last else "relu"},
        }
        for number in range(last + 1)
    ]
    data, weights = io.BytesIO(), io.BytesIO()
    with h5py.File(weights, "w") as file:
        for number, (kernel, bias) in enumerate(zip(head.kernels, head.biases, strict=True)):
            home = f"layers/dense_{number}/vars" if number else "layers/dense/vars"
            file[f"{home}/0"], file[f"{home}/1"] = kernel.astype("f4"), bias.astype("f4")
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": layers}}))
        archive.writestr("model.weights.h5", weights.getvalue())
    return data.getvalue()


def block_means(crops):
    """A cheap trunk: 8 × 8 block means of a crop of 32 pixels, repeated in eight channels."""
    means = crops.reshape(-1, 8, 4, 8, 4).mean(axis=(2, 4)) / 255
    return np.repeat(means[..., np.newaxis], 8, axis=3).reshape(len(crops), -1).astype(np.float16)


def receive_and_embed(small, folder, name):
    """Store the scans of a folder as the one part of a batch, with their embeddings."""
    batch, chosen = deliver(folder, name, small), choose_models(small.settings, small.store)
    plan_batch(batch, small)
    accepted = AcceptedInStore(small.store, DeliveryLists(small.private, batch).file_sizes())
    Receiver(small, batch, chosen, InProcess(), accepted, lambda _: None).receive_part(0)
    embed_part(small.store, batch, 0, chosen, block_means, lambda _: None)


def add_champion(small):
    """A trunk's card, and a promoted head with random weights; returns the head's network."""
    chosen = choose_models(small.settings, small.store)
    random = np.random.default_rng(0)
    first, last = random.normal(size=(512, 6)), random.normal(scale=0.3, size=(6, 3))
    # Sums of 0 for every unit: scores depend on the texture of a crop, not on its brightness.
    head = DenseNetwork((first - first.mean(axis=0), last), (np.zeros(6), np.zeros(3)))
    trunk = {
        "trunk": chosen.trunk_id,
        "recipe_id": chosen.recipe_id,
        "settings": chosen.trunk.model_dump(mode="json", exclude={"weights"}),
        "recipe": chosen.recipe.model_dump(mode="json"),
        "width": 512,
    }
    promotion = {"recipe": chosen.recipe_id, "trunk": chosen.trunk_id, "head": HEAD}
    for name, content in {
        f"trunks/{chosen.trunk_id}/card.json": trunk,
        f"heads/{HEAD}/card.json": {
            "classes": CLASSES,
            "normal_class": CLASSES[0],
            "threshold": THRESHOLD,
        },
        "promotions/00001.json": promotion,
    }.items():
        small.store.write_bytes(f"models/{name}", json.dumps(content).encode())
    small.store.write_bytes(f"models/heads/{HEAD}/model.keras", keras_file(head))
    return head


def predict(small, head, batch):
    """Store the predictions of the champion for the one part of a batch."""
    facts, embeddings = load_features(small.store, batch=batch)
    outputs = np.stack([softmax(head.logits(row)) for row in embeddings])
    found = to_predictions(outputs, len(CLASSES), 0, list(facts["region_kind"]))
    rows = [
        {
            **{name: getattr(row, name) for name in ("crop_id", "scan_id", "batch", "recipe")},
            "trunk": row.trunk,
            "head": HEAD,
            "patient_key": row.patient_key,
            "predicted": CLASSES[int(probabilities.argmax())],
            "probabilities": probabilities.tolist(),
            "p_abnormal": abnormal,
            "flagged": bool(abnormal >= THRESHOLD),
            "seen": False,
        }
        for row, probabilities, abnormal in zip(
            facts.itertuples(), found.probabilities, found.p_abnormal, strict=True
        )
    ]
    write_rows(small.store, tables.predictions(HEAD).part(batch, 0), rows, schemas.PREDICTIONS)
