"""The model card of an exported head: Markdown with the front matter that Hugging Face reads."""

from collections.abc import Mapping
from pathlib import Path

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.report.format_numbers import (
    CARD_MEASURES,
    MEASURES,
    format_counts,
    format_estimate,
    format_score,
)

# Names of measures on Hugging Face.
HUB_MEASURES = {"auroc": "roc_auc", "auprc": "average_precision"}
HUB_TAGS = {"onnx": "onnx", "keras": "keras", "saved_model": "tensorflow"}
TEST_DATA = "labelled crops of patients on the test side, not published"


def model_card(described: Mapping) -> str:
    """Return the card of a head, from its description."""
    matter = yaml.safe_dump(_front_matter(described), sort_keys=False, allow_unicode=True)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"cell": _cell, "estimate": format_estimate, "score": format_score}
    text = environment.get_template("model_card.md.j2").render(
        **described, measures=MEASURES, counts=format_counts, versions=_versions
    )
    return f"---\n{matter}---\n\n{text}"


def _front_matter(described: Mapping) -> dict:
    files, estimates = described["files"], described["scores"]["estimates"]
    metrics = [
        {"type": HUB_MEASURES.get(name, name), "name": MEASURES[name], "value": found["value"]}
        for name in CARD_MEASURES
        if (found := estimates.get(name)) and found["value"] is not None
    ]
    return {
        "license": "unknown",
        **({"library_name": "keras"} if "keras" in files else {}),
        "pipeline_tag": "image-classification",
        "tags": ["dental", "radiology", "x-ray", "research", *(HUB_TAGS[name] for name in files)],
        "metrics": [metric["type"] for metric in metrics],
        "model-index": [
            {
                "name": f"dental-head-{described['head']}",
                "results": [
                    {
                        "task": {"type": "image-classification"},
                        "dataset": {"name": TEST_DATA, "type": "private"},
                        "metrics": metrics,
                    }
                ],
            }
        ],
    }


def _cell(name: str) -> str:
    """A class name as text of a Markdown table."""
    return "".join(f"\\{mark}" if mark in r"\`*_|<>[]" else mark for mark in name)


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
