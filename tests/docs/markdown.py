"""The documents in pieces: code blocks, commands, inline code, headings and links."""

import itertools
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"(?:^|(?<=[\s/]))(dental|make) +([^#|&;>]+)")


@dataclass(frozen=True)
class Block:
    """A code block; the language of an indented one is empty."""

    document: Path
    line: int
    language: str
    text: str

    def __str__(self):
        return f"{self.document.name}:{self.line}"


@cache
def parse(document: Path) -> list:
    """The tokens of a document."""
    return MarkdownIt("gfm-like", {"linkify": False}).parse(document.read_text())


def inline_tokens(document: Path) -> list:
    return [inner for token in parse(document) for inner in token.children or []]


@cache
def blocks(language: str | None = None) -> list[Block]:
    """Code blocks of all documents, or those of one language."""
    found = [
        Block(document, token.map[0] + 1, token.info.strip(), token.content)
        for document in DOCUMENTS
        for token in parse(document)
        if token.type in ("fence", "code_block")
    ]
    return [block for block in found if language is None or block.language == language]


@cache
def inline_code(document: Path) -> list[str]:
    """Every `inline code` of a document, each once."""
    tokens = inline_tokens(document)
    return sorted({token.content for token in tokens if token.type == "code_inline"})


def commands_in_blocks(program: str) -> list[tuple[str, str]]:
    """Where a command line of `dental` or `make` is in a code block, and its arguments."""
    return [
        (str(block), found[2].strip())
        for block in blocks()
        if block.language in ("", "sh", "ini")
        for line in block.text.splitlines()
        for found in COMMAND.finditer(line)
        if found[1] == program
    ]


def commands_in_text(program: str) -> list[tuple[str, str]]:
    """Documents and arguments of inline mentions such as `dental forget --patient ID`."""
    return [
        (document.name, found[2].strip())
        for document in DOCUMENTS
        for code in inline_code(document)
        if (found := COMMAND.match(code)) and found[1] == program
    ]


def query_lines() -> list[str]:
    """Names and parameters of the named queries that commands run, such as `audit batch=b`."""
    lines = [*commands_in_blocks("dental"), *commands_in_text("dental")]
    made = [*commands_in_blocks("make"), *commands_in_text("make")]
    found = [line.removeprefix("query ") for _, line in lines if line.startswith("query ")]
    found += [match[1] for _, line in made if (match := re.search(r'Q="?([^"]+)', line))]
    words = (" ".join(word for word in line.split() if word[:2] != "--") for line in found)
    return sorted({line for line in words if not line.startswith("NAME")})


@cache
def links(document: Path) -> list[str]:
    """Targets of the links of a document."""
    return [token.attrs["href"] for token in inline_tokens(document) if token.type == "link_open"]


@cache
def anchors(document: Path) -> set[str]:
    """Anchors of the headings of a document, made as GitHub does."""
    tokens = parse(document)
    headings = [
        following.content
        for token, following in itertools.pairwise(tokens)
        if token.type == "heading_open"
    ]
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@cache
def prose(document: Path) -> str:
    """The text of a document without code."""
    return " ".join(token.content for token in inline_tokens(document) if token.type == "text")
