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


def unknown(pattern, is_known):
    """Names in code type of this form that are not known, with their documents."""
    found = [(document.name, code) for document, code in IN_CODE if re.fullmatch(pattern, code)]
    assert found
    return [(place, code) for place, code in found if not is_known(code)]


def setting_exists(path):
    group, names = config.Settings, path.split(".")
    for name in names:
        if name not in group.model_fields:
            return False
        group = GROUPS.get(name, group)
    return True


def test_settings_exist():
    form = rf"(?:{'|'.join(GROUPS)})\.\w+(?:\.\w+)?(?: = .+)?"
    assert not unknown(form, lambda key: setting_exists(key.partition(" = ")[0]))


def test_variables_are_settings():
    for document in DOCUMENTS:
        for variable in re.findall(r"DENTAL_[A-Z_]*[A-Z]", document.read_text()):
            key = variable.removeprefix("DENTAL_").lower().replace("__", ".")
            assert variable in OTHER_VARIABLES or setting_exists(key), (document.name, variable)


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_a_settings_file_can_be_loaded(block, tmp_path, monkeypatch):
    for variable in [name for name in os.environ if name.startswith("DENTAL_")]:
        monkeypatch.delenv(variable)
    (tmp_path / "dental.toml").write_text(block.text)
    monkeypatch.setenv("DENTAL_CONFIG", str(tmp_path / "dental.toml"))
    settings = config.load()
    assert all(getattr(settings, key) is not None for key in tomllib.loads(block.text))


def test_paths_of_the_project_exist():
    form = rf"(?:{'|'.join(TOP_FOLDERS)})/[\w./*-]*"
    assert not unknown(form, lambda path: list(ROOT.glob(path.rstrip("/"))))


def test_names_in_code_type_are_in_the_code():
    names = set(re.findall(r"\w+", CODE)) | FOREIGN
    assert not unknown(r"[a-z]+(?:_[a-z]+)+", names.__contains__)


def test_paths_of_the_store_begin_with_a_folder_of_it():
    tops = {*schemas.TABLES, *STORE_FOLDERS, *TOP_FOLDERS, *BATCH_FOLDERS, "site"}
    form = r"[a-z_]+/(?:[A-Z]+/)?[\w….-]*"
    assert not unknown(form, lambda path: path.split("/")[0] in tops)


def test_the_layout_of_the_store_shows_every_table_and_nothing_else():
    [layout, *_] = [block for block in blocks("") if block.document.name == "store.md"]
    shown = {re.split(r"[/ ]", line)[0] for line in layout.text.splitlines()}
    tables = set(schemas.TABLES) - {"reference"}  # one file per drift reference, in models/
    assert shown == tables | STORE_FOLDERS | {"store.json"}


def test_links_and_anchors_resolve():
    assert not [
        (document.name, link)
        for document in (*DOCUMENTS, ROOT / "CHANGELOG.md")
        for link in links(document)
        if not link.startswith("https://") and not resolves(document, link)
    ]


def resolves(document, link):
    path, _, anchor = link.partition("#")
    target = (document.parent / path) if path else document
    return target.is_file() and (not anchor or anchor in anchors(target))


def test_the_readme_links_to_every_document():
    linked = {link.partition("#")[0] for link in links(ROOT / "README.md")}
    assert {str(path.relative_to(ROOT)) for path in DOCUMENTS[1:]} <= linked
