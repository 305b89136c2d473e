"""`dental models export`: files that other programs run, and that reproduce stored predictions."""

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from pipeline import config
from pipeline.cli.__main__ import commands
from pipeline.errors import ConfigError
from pipeline.export.models import export_head as module
from pipeline.model import network
from pipeline.stages.predict import Head
from pipeline.store.registry import champion, read_card, read_model, trunk_home
from pipeline.store.store import Store
from tests.store.test_stored_by_earlier_versions import BATCH, PATIENT, unpack

pytestmark = pytest.mark.slow

# Run without this package on the path, so with Keras alone.
PLAIN_KERAS = """
import json, sys, keras, numpy
crops = numpy.load("crops.npy")
outputs = keras.models.load_model("out/model.keras").predict(crops, verbose=0)
numpy.savez("outputs.npz", **outputs)
embeddings = numpy.load("embeddings.npy")
numpy.save("head.npy", keras.models.load_model("head.keras").predict(embeddings, verbose=0))
assert "pipeline" not in sys.modules
"""


class Exported:
    """A store of an earlier version, its champion as files, and its crops with what was stored."""

    def __init__(self, home):
        unpack("plain", home)
        self.home, self.out = home, home / "out"
        self.store = Store(str(home / "store"))
        self.head = Head(self.store, champion(self.store)["head"])
        self.dental("models", "export", self.head.head_id[:6], str(self.out), "--keras")
        self.crops = self.read("crops")
        pixels = np.stack([np.frombuffer(each, np.uint8) for each in self.crops["pixels"]])
        self.pixels = pixels.reshape(-1, 16, 16)

    def read(self, table):
        rows = pd.concat(
            map(pd.read_parquet, sorted(self.home.glob(f"store/{table}/**/*.parquet")))
        )
        return rows.drop_duplicates("crop_id").sort_values("crop_id")

    def dental(self, *command):
        environment = {
            "DENTAL_STORE": self.store.root,
            "DENTAL_PRIVATE": str(self.home / "private"),
            "DENTAL_CONFIG": str(self.home / "dental.toml"),
        }
        answer = CliRunner().invoke(commands, list(command), env=environment)
        if isinstance(answer.exception, ConfigError):
            raise answer.exception
        assert answer.exit_code == 0, answer
        return answer.stdout

    def settings(self):
        return config.load(store=self.store.root, private=self.home / "private")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return Exported(tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="module")
def plain_keras(exported):
    """What Keras without this package computes from the exported file and from a stored head."""
    features = np.stack(list(exported.read("features")["embedding"]))
    np.save(exported.home / "crops.npy", exported.pixels)
    np.save(exported.home / "embeddings.npy", features)
    (exported.home / "head.keras").write_bytes(network.to_bytes(exported.head.model))
    subprocess.run([sys.executable, "-c", PLAIN_KERAS], cwd=exported.home, check=True, timeout=300)
    return np.load(exported.home / "outputs.npz"), np.load(exported.home / "head.npy"), features


def test_keras_alone_reproduces_the_stored_predictions(exported, plain_keras):
    outputs, stored = plain_keras[0], exported.read("predictions")
    assert list(stored["crop_id"]) == list(exported.crops["crop_id"])
    assert not (exported.crops["region_kind"] == "tooth").any()
    assert np.abs(outputs["probabilities"] - np.stack(stored["probabilities"])).max() < 1e-3
    assert np.abs(outputs["p_abnormal_box"] - stored["p_abnormal"]).max() < 1e-3
    assert (outputs["p_abnormal_found"] <= outputs["p_abnormal_box"]).all()


def test_keras_alone_loads_a_stored_head_as_it_is(exported, plain_keras):
    _, found, features = plain_keras
    expected = exported.head.model.predict_on_batch(features)
    assert np.abs(found - expected).max() < 1e-6


def test_what_the_model_card_shows_for_onnx_and_tensorflow_reproduces_keras(
    exported, plain_keras, tmp_path, monkeypatch
):
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
    head_id, out = exported.head.head_id, tmp_path / "both"
    exported.dental("models", "export", head_id, str(out), "--onnx", "--saved-model")
    monkeypatch.chdir(out)
    snippets = re.findall(r"```python\n(.*?)```", (out / "README.md").read_text(), re.DOTALL)
    assert len(snippets) == 2
    for snippet in snippets:
        names = {"crops": exported.pixels}
        exec(snippet, names)
        for name, expected in plain_keras[0].items():
            assert np.abs(np.asarray(names["outputs"][name]) - expected).max() < 1e-5


def test_a_trunk_of_an_earlier_version_is_read_as_before(exported):
    trunk = exported.head.card["trunk"]
    assert read_model(exported.store, trunk_home(trunk)).output_shape == (None, 64)


def test_the_description_has_recipe_classes_threshold_and_versions(exported):
    described = json.loads((exported.out / "model.json").read_text())
    card = exported.head.card
    trunk = read_card(exported.store, trunk_home(card["trunk"]))
    for name in ("head", "trunk", "recipe_id", "classes", "normal_class", "threshold"):
        assert described[name] == card[name]
    assert described["recipe"] == trunk["recipe"]
    assert described["input"]["shape"] == ["N", 16, 16]
    assert described["outputs"]["probabilities"]["shape"] == ["N", len(card["classes"])]
    assert described["files"] == {"keras": "model.keras"}
    assert {"keras", "dental-pipeline"} <= described["exported_with"].keys()
    assert "not for diagnosis" in described["intended_use"]


def test_the_model_card_has_the_front_matter_that_hugging_face_reads(exported):
    _, matter, text = (exported.out / "README.md").read_text().split("---\n", 2)
    found = yaml.safe_load(matter)
    assert found["license"] == "unknown"
    assert found["library_name"] == "keras"
    assert "keras" in found["tags"]
    assert found["metrics"][0] == "roc_auc"
    [result] = found["model-index"][0]["results"]
    auroc = exported.head.card["scores"]["head"]["estimates"]["auroc"]["value"]
    assert result["metrics"][0] == {"type": "roc_auc", "name": "AUROC", "value": auroc}
    assert 'load_model("model.keras")' in text
    assert "onnxruntime" not in text
    assert "not for diagnosis" in text


def test_the_folder_is_the_owners_and_contains_no_path_patient_or_batch(exported):
    assert exported.out.stat().st_mode & 0o777 == 0o700
    keys = set(exported.read("features")["patient_key"])
    written = b"".join(path.read_bytes() for path in exported.out.iterdir())
    for text in (str(exported.home), exported.home.name, PATIENT, BATCH, *keys):
        assert text.encode() not in written


@pytest.mark.parametrize("out", ["store/out", "store", "private/out"])
def test_a_folder_in_the_store_is_refused(exported, out):
    with pytest.raises(ConfigError, match="lies inside the"):
        exported.dental(
            "models", "export", exported.head.head_id, str(exported.home / out), "--keras"
        )


def test_what_exists_a_missing_format_and_a_file_name_are_refused(exported, tmp_path):
    arguments = "models", "export", exported.head.head_id
    with pytest.raises(ConfigError, match="exists already"):
        exported.dental(*arguments, str(exported.out), "--keras")
    with pytest.raises(ConfigError, match="name one or more: --onnx"):
        exported.dental(*arguments, str(tmp_path / "out"))
    with pytest.raises(ConfigError, match="Name it head, for example"):
        exported.dental(*arguments, str(tmp_path / "head.keras"), "--keras")
    assert not any(tmp_path.iterdir())


def test_an_export_that_fails_leaves_nothing(exported, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(module, "_write_networks", fail)
    with pytest.raises(OSError, match="disk full"):
        module.export_head(exported.settings(), exported.head, ["keras"], tmp_path / "out")
    assert not any(tmp_path.iterdir())
