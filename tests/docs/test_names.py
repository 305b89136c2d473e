"""Every setting, path, column and other name in code type exists; links and anchors resolve."""

import os
import re
import tomllib

import pytest

from pipeline import config, schemas
from pipeline.config import GROUPS
from pipeline.config.loading import OTHER_VARIABLES
from tests.docs.markdown import DOCUMENTS, ROOT, anchors, blocks, inline_code, links

TOP_FOLDERS = ("pipeline", "flows", "sql", "docs", "tests", "benchmarks")
# Below a store, besides the folders of tables.
# Of batches and of the folder of real scans.
BATCH_FOLDERS = {"gt", "images", "masks", "train", "test", "opg", "dicom"}
STORE_FOLDERS = {"models", "reports", "runs"}
CODE = "\n".join(
    path.read_text()
    for top in ("pipeline", "flows", "sql")
    for path in (ROOT / top).rglob("*")
    if path.suffix in (".py", ".sql", ".j2")
)
# Names that belong to others.
FOREIGN = {"local_lock", "file_format"}
IN_CODE = [(document, code) for document in DOCUMENTS for code in inline_code(document)]


def cases(pattern):
    return [(document.name, code) for document, code in IN_CODE if re.fullmatch(pattern, code)]


def setting_exists(path):
    group, names = config.Settings, path.split(".")
    for name in names:
        if name not in group.model_fields:
            return False
        group = GROUPS.get(name, group)
    return True


@pytest.mark.parametrize(
    ("place", "key"), cases(rf"(?:{'|'.join(GROUPS)})\.\w+(?:\.\w+)?(?: = .+)?")
)
def test_a_setting_exists(place, key):
    assert setting_exists(key.partition(" = ")[0])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_variables_are_settings(document):
    for variable in re.findall(r"DENTAL_[A-Z_]*[A-Z]", document.read_text()):
        key = variable.removeprefix("DENTAL_").lower().replace("__", ".")
        assert variable in OTHER_VARIABLES or setting_exists(key), variable


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_a_settings_file_can_be_loaded(block, tmp_path, monkeypatch):
    for variable in [name for name in os.environ if name.startswith("DENTAL_")]:
        monkeypatch.delenv(variable)
    (tmp_path / "dental.toml").write_text(block.text)
    monkeypatch.setenv("DENTAL_CONFIG", str(tmp_path / "dental.toml"))
    settings = config.load()
    assert all(getattr(settings, key) is not None for key in tomllib.loads(block.text))


@pytest.mark.parametrize(("place", "path"), cases(rf"(?:{'|'.join(TOP_FOLDERS)})/[\w./*-]*"))
def test_a_path_of_the_project_exists(place, path):
    assert list(ROOT.glob(path.rstrip("/")))


@pytest.mark.parametrize(("place", "name"), cases(r"[a-z]+(?:_[a-z]+)+"))
def test_a_name_in_code_type_is_in_the_code(place, name):
    assert name in FOREIGN or re.search(rf"\b{name}\b", CODE)


@pytest.mark.parametrize(("place", "path"), cases(r"[a-z_]+/(?:[A-Z]+/)?[\w….-]*"))
def test_a_path_of_the_store_begins_with_a_folder_of_it(place, path):
    top = path.split("/")[0]
    assert top in {*schemas.TABLES, *STORE_FOLDERS, *TOP_FOLDERS, *BATCH_FOLDERS, "site"}


def test_the_layout_of_the_store_shows_every_table_and_nothing_else():
    [layout, *_] = [block for block in blocks("") if block.document.name == "store.md"]
    shown = {re.split(r"[/ ]", line)[0] for line in layout.text.splitlines()}
    tables = set(schemas.TABLES) - {"reference"}  # one file per drift reference, in models/
    assert shown == tables | STORE_FOLDERS | {"store.json"}


@pytest.mark.parametrize(
    "document", [*DOCUMENTS, ROOT / "CHANGELOG.md"], ids=lambda path: path.name
)
def test_links_and_anchors_resolve(document):
    for link in links(document):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path) if path else document
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


def test_the_readme_links_to_every_document():
    linked = {link.partition("#")[0] for link in links(ROOT / "README.md")}
    assert {str(path.relative_to(ROOT)) for path in DOCUMENTS[1:]} <= linked
