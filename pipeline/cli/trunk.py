"""`dental trunk describe`: the feature extractor, layer by layer."""

from pipeline.cli.app import LEARN, JsonOption, commands, load_settings, trunk_commands
from pipeline.cli.output import console, show


@trunk_commands.command("describe")
def describe(as_json: JsonOption = False) -> None:
    """Print the trunk's layers: output shape, parameters, multiply-adds, receptive field."""
    from pipeline.model import architecture

    settings = load_settings(None)
    rows = architecture.describe(settings.trunk, settings.recipe.side)
    rows = [*rows, architecture.total(rows)]
    show(rows, as_json, lambda: _print_layers(rows))


def _print_layers(rows: list) -> None:
    from rich.table import Table

    table = Table("layer", "output", "parameters", "multiply-adds", "receptive field")
    for row in rows:
        table.add_row(
            row.name,
            " × ".join(map(str, row.output)),
            f"{row.parameters:,}",
            f"{row.multiply_adds:,}",
            f"{row.receptive_field} px",
        )
    console().print(table)


commands.add_typer(trunk_commands, name="trunk", rich_help_panel=LEARN)
