"""The feature extractor, looked at."""

from rich.console import Console
from rich.table import Table

from pipeline import config
from pipeline.cli.app import trunk_commands


@trunk_commands.command("describe")
def describe() -> None:
    """Print the trunk's layers: output shape, parameters, multiply-adds, receptive field."""
    from pipeline.model import architecture

    settings = config.load()
    rows = architecture.describe(settings.trunk, settings.recipe.side)
    table = Table("layer", "output", "parameters", "multiply-adds", "receptive field")
    for row in [*rows, architecture.total(rows)]:
        table.add_row(
            row.name,
            " × ".join(map(str, row.output)),
            f"{row.parameters:,}",
            f"{row.multiply_adds:,}",
            f"{row.receptive_field} px",
        )
    Console().print(table)
