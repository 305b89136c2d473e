"""Every command, option, query and make target that a document names exists."""

import re
import shlex

import pytest
import typer
from typer.exceptions import TyperException

from pipeline.cli.__main__ import app as _app  # noqa: F401  adds every command
from pipeline.cli.app import DefaultCommandGroup, commands
from pipeline.store import catalog
from tests.docs.markdown import ROOT, commands_in_blocks, commands_in_text, query_lines

DENTAL = typer.main.get_command(commands)
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z0-9-]+):", MAKEFILE, re.MULTILINE))
VARIABLES = set(re.search(r"^VARIABLES := (.+)$", MAKEFILE, re.MULTILINE)[1].split())


def descend(arguments):
    """The command that the first words name, and the words that are left."""
    command = DENTAL
    while hasattr(command, "commands"):
        if isinstance(command, DefaultCommandGroup):
            arguments = command.with_default(arguments)
        if not arguments or arguments[0].startswith("-"):
            break
        assert arguments[0] in command.commands, f"no command `{arguments[0]}`"
        command, arguments = command.commands[arguments[0]], arguments[1:]
    return command, arguments


def test_command_lines_in_blocks_can_be_typed():
    for place, line in commands_in_blocks("dental"):
        command, arguments = descend(shlex.split(line))
        try:
            command.make_context("dental", arguments)  # parses without running
        except TyperException as error:
            pytest.fail(f"{place}: dental {line}: {error}")


def test_commands_in_the_text_exist_with_their_options():
    for place, line in commands_in_text("dental"):
        command, arguments = descend(shlex.split(line.replace("…", "")))
        known = {name for parameter in command.params for name in parameter.opts} | {"--help"}
        named = {word.partition("=")[0] for word in arguments if word.startswith("--")}
        assert named <= known | {"--install-completion"}, (place, line)


def test_every_command_is_documented():
    lines = [line for _, line in [*commands_in_blocks("dental"), *commands_in_text("dental")]]
    named = {id(descend(shlex.split(line.replace("…", "")))[0]) for line in lines}
    groups = [DENTAL, *(each for each in DENTAL.commands.values() if hasattr(each, "commands"))]
    commands = [(name, each) for group in groups for name, each in group.commands.items()]
    leaves = [(name, each) for name, each in commands if not hasattr(each, "commands")]
    assert not [name for name, command in leaves if id(command) not in named]


def test_queries_exist_with_their_parameters():
    queries = catalog.queries()
    for line in query_lines():
        name, *others = shlex.split(line)
        assert name in queries, line
        given = {word.partition("=")[0] for word in others}
        assert given <= queries[name].parameters.keys(), line


def test_make_targets_exist_with_their_variables():
    for place, line in [*commands_in_blocks("make"), *commands_in_text("make")]:
        for word in shlex.split(line.replace("[", "").replace("]", "").replace("…", "")):
            name, equals, _ = word.partition("=")
            assert name in (VARIABLES if equals else TARGETS), (place, word)
