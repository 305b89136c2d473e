"""Export a stored head with its trunk as files for programs without this package."""

from collections.abc import Collection
from pathlib import Path

from pipeline.config import Settings
from pipeline.errors import ConfigError
from pipeline.export.models.description import describe_head
from pipeline.export.models.model_card import model_card
from pipeline.export.models.new_folder import new_folder
from pipeline.export.out_folder import write_json, write_text
from pipeline.stages.predict import Head
from pipeline.store.registry import read_model, trunk_card, trunk_home

FILES = {"onnx": "model.onnx", "keras": "model.keras", "saved_model": "saved_model"}
DESCRIPTION, CARD = "model.json", "README.md"


def export_head(settings: Settings, head: Head, formats: Collection[str], out: Path) -> list[str]:
    """Write a head in these formats, with description and model card; return the names in `out`.

    `out` becomes a new folder, whole or not at all. Raises ConfigError without a format, when `out`
    cannot be made, or when a format needs what is not installed.
    """
    if not formats:
        raise ConfigError("No format was named; name one or more: --onnx, --keras, --saved-model.")
    if out.suffix in (".onnx", ".keras", ".json"):
        raise ConfigError(
            f"{out} is named as a file, and a folder is made, with model.json and README.md. Name "
            f"it {out.with_suffix('').name}, for example."
        )
    files = {name: FILES[name] for name in FILES if name in formats}
    with new_folder(out, settings) as folder:
        described = describe_head(head.card, trunk_card(head.store, head.card["trunk"]), files)
        write_json(folder / DESCRIPTION, described, indent=1)
        write_text(folder / CARD, model_card(described))
        _write_networks(head, {name: folder / file for name, file in files.items()})
    return [*files.values(), DESCRIPTION, CARD]


def _write_networks(head: Head, paths: dict[str, Path]) -> None:
    from pipeline.model.head.networks import from_dense
    from pipeline.model.joined_network import join, write_keras, write_saved_model
    from pipeline.model.onnx_network import write_onnx

    classes = head.card["classes"]
    trunk = read_model(head.store, trunk_home(head.card["trunk"]))
    normal = classes.index(head.card["normal_class"])
    joined = join(trunk, from_dense(head.layers), len(classes), normal)
    if "onnx" in paths:
        write_onnx(joined, normal, paths["onnx"])
    if "keras" in paths:
        write_keras(joined, paths["keras"])
    if "saved_model" in paths:
        write_saved_model(joined, paths["saved_model"])
