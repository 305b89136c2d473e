"""What comes back from annotation tools after an export, as labels of a reviewer."""

import json
import shutil

import pytest
from defusedxml import ElementTree

from pipeline.errors import ConfigError
from pipeline.learn.feedback import take_feedback
from pipeline.store import catalog
from pipeline.store.store import Store
from tests.export.conftest import RELABELLED

pytestmark = pytest.mark.slow


def change_coco(path, label):
    """Give RELABELLED another label, as a tool that keeps nothing but COCO's own fields."""
    found = json.loads(path.read_text())
    numbers = {each["name"]: each["id"] for each in found["categories"]}
    for each in found["annotations"]:
        if each.pop("crop_id") == RELABELLED:
            each["category_id"] = numbers[label]
    path.write_text(json.dumps(found))


def change_cvat(path, label):
    tree = ElementTree.parse(path)
    for box in tree.iter("box"):
        if any(each.text == RELABELLED for each in box.iter("attribute")):
            box.set("label", label)
    tree.write(path)


def change_label_studio(path, label):
    tasks = json.loads(path.read_text())
    scan_id, _, region = RELABELLED.partition(":")
    x = int(region.split("-")[1])
    for task in tasks:
        for annotation in task.get("annotations", []):
            for each in annotation["result"]:
                value = each["value"]
                left = value["x"] * each["original_width"] / 100
                if scan_id in task["data"]["image"] and abs(left - x) < 1:
                    value["rectanglelabels"] = [label]
        # As its import puts it before the names of uploaded files.
        task["data"]["image"] = f"/data/upload/1/0a1b2c3d-{scan_of(task)}.png"
    path.write_text(json.dumps(tasks))


def scan_of(task):
    return task["data"]["image"].rpartition("/")[2].removesuffix(".png")[-32:]


FILES = [
    ("coco", "annotations.json", change_coco),
    ("cvat", "annotations.xml", change_cvat),
    ("labelstudio", "tasks.json", change_label_studio),
]


@pytest.fixture
def returned(example, tmp_path):
    """A copy of the store that may be labelled, and of an export to come back into it."""

    def copy(form, file):
        shutil.copytree(example.settings.store, tmp_path / "store", dirs_exist_ok=True)
        shutil.copy(example.written(form) / file, tmp_path / file)
        settings = example.settings.model_copy(update={"store": str(tmp_path / "store")})
        return settings, tmp_path / file

    return copy


@pytest.mark.parametrize(("form", "file", "change"), FILES, ids=[each[0] for each in FILES])
def test_an_edited_label_comes_back_and_the_untouched_ones_change_nothing(
    returned, form, file, change
):
    settings, path = returned(form, file)
    untouched = take_feedback(settings, path, reviewer="kl")
    assert (untouched.appended, untouched.problems) == (0, [])
    assert untouched.blank > 20
    change(path, "impacted")
    taken = take_feedback(settings, path, agreed=True, reviewer="kl")
    assert (taken.appended, taken.problems) == (1, [])
    with catalog.open_store(Store(settings.store)) as con:
        readings = con.table("readings").to_arrow_table().to_pylist()
    [mine] = [each for each in readings if each["source"] == "kl"]
    assert (mine["crop_id"], mine["label"]) == (RELABELLED, "impacted")


def test_a_file_of_a_tool_needs_the_code_of_its_reviewer(returned):
    settings, path = returned("coco", "annotations.json")
    with pytest.raises(ConfigError, match="does not say whose labels it has; give --reviewer"):
        take_feedback(settings, path)


def test_boxes_of_other_images_and_places_are_reported(returned):
    settings, path = returned("coco", "annotations.json")
    found = json.loads(path.read_text())
    first, second = found["annotations"][:2]
    first["bbox"] = [0, 0, 3, 3]
    found["images"].append({"id": 999, "file_name": "holiday.png"})
    second["image_id"] = 999
    path.write_text(json.dumps(found))
    taken = take_feedback(settings, path, reviewer="kl")
    assert taken.appended == 0
    assert [each.partition(": ")[2] for each in taken.problems] == [
        "is at no crop of its scan; draw missed findings in `dental review`",
        "image `holiday.png` is not named by a scan_id, as `dental export` names it",
    ]


def test_a_document_of_another_kind_is_refused_by_what_it_is(returned):
    settings, path = returned("coco", "annotations.json")
    path.write_text('{"a": 1}')
    with pytest.raises(ConfigError, match="a JSON object of `a`; expected one of COCO"):
        take_feedback(settings, path, reviewer="kl")
