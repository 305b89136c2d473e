"""The documents are short where they must be, generated where they can be, in plain words."""

import re

import pytest

from tests.docs.markdown import DOCUMENTS, ROOT, prose

# Wordings that read as translated, and synonyms of terms of the glossary.
BANNED = [
    r"in words",
    r"nobody",
    r"wherein",
    r"standing",
    r"stands in",
    r"apart from",
    r"is told",
    r"are told",
    r"told apart",
    r"taught",
    r"put up with",
    r"by looking",
    r"said to be",
    r"for ever",
    r"anew",
]


def test_the_readme_fits_on_a_front_page():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


def test_the_text_is_plain():
    assert not [
        (document.name, words)
        for document in (*DOCUMENTS, ROOT / "CHANGELOG.md")
        for words in BANNED
        if re.search(rf"\b{words}\b", prose(document), re.IGNORECASE)
    ]


def test_generated_parts_are_current(monkeypatch, capsys):
    cogapp = pytest.importorskip("cogapp")
    monkeypatch.chdir(ROOT)
    documents = [str(document.relative_to(ROOT)) for document in DOCUMENTS]
    status = cogapp.Cog().main(["cog", "--check", "-I", "docs", *documents])
    assert status == 0, f"run `make docs`: {capsys.readouterr()}"


def test_the_api_pages_can_be_built(tmp_path):
    pdoc = pytest.importorskip("pdoc")
    makefile = (ROOT / "Makefile").read_text()
    modules = re.search(r"^API := (.+)$", makefile, re.MULTILINE)[1].split()
    pdoc.pdoc(*modules, output_directory=tmp_path)
    page = (tmp_path / "pipeline" / "api" / "store_reader.html").read_text()
    assert "StoreReader.similar" in page
    assert "iter_features" in page
