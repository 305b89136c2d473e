"""`dental trunk describe`: the feature extractor, layer by layer."""

from typing import TYPE_CHECKING

from pipeline.cli.app import LEARN, JsonOption, commands, load_settings, trunk_commands
from pipeline.cli.output import console, show

if TYPE_CHECKING:
    from pipeline.config import Settings


@trunk_commands.command("describe")
def describe(as_json: JsonOption = False) -> None:
    """Print the trunk's layers: output shape, parameters, multiply-adds, receptive field.

    Of another network than the notes', also what a crop costs on it, measured now.
    """
    from pipeline.model import architecture

    settings = load_settings(None)
    if not settings.trunk.is_notes:
        _describe_model(settings, as_json)
        return
    rows = architecture.describe(settings.trunk, settings.recipe.side)
    rows = [*rows, architecture.total(rows)]
    show(rows, as_json, lambda: _print_layers(rows))


def _describe_model(settings: "Settings", as_json: bool) -> None:
    from pipeline.model import architecture, image_network, network_facts

    model = image_network.build(settings.trunk, settings.recipe.side)
    rows = network_facts.describe(model)
    rows = [*rows, architecture.total(rows)]
    facts, unknown = network_facts.card_facts(model), network_facts.unknown_layers(model)
    values = {"layers": rows, **facts, "unknown_layers": unknown}

    def print_all() -> None:
        _print_layers(rows)
        print(facts["architecture"])
        print(f"A crop costs {architecture.format_cost(facts['cost'])}.")
        if unknown:
            print(
                f"Not known: multiply-adds and receptive field of {', '.join(unknown)} and the "
                "receptive field of all that follows; the sums leave them out."
            )

    show(values, as_json, print_all)


def _print_layers(rows: list) -> None:
    from rich.table import Table

    table = Table("layer", "output", "parameters", "multiply-adds", "receptive field")
    for row in rows:
        adds, field = row.multiply_adds, row.receptive_field
        table.add_row(
            row.name,
            " × ".join(map(str, row.output)),
            f"{row.parameters:,}",
            "not known" if adds is None else f"{adds:,}",
            "not known" if field is None else f"{field} px",
        )
    console().print(table)


commands.add_typer(trunk_commands, name="trunk", rich_help_panel=LEARN)
