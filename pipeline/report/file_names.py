"""Names of delivered files, from the private folder."""

from typing import TYPE_CHECKING

from pipeline.ingest.delivery_lists import FORGOTTEN, DeliveryLists
from pipeline.ingest.private_folder import PrivateFolder

if TYPE_CHECKING:
    import pandas as pd


def delivered_names(private: PrivateFolder, rows: "pd.DataFrame") -> list[str | None]:
    """The path of every row's file in its batch, by batch, part and row; None if forgotten."""
    names: dict[tuple, str] = {}
    for batch in rows["batch"].unique():
        for file in DeliveryLists(private, batch).all_files():
            if file.entry.kind != FORGOTTEN:
                path = file.entry.path.decode("utf-8", "backslashreplace")
                names[batch, file.part, file.row] = path
    places = zip(rows["batch"], rows["part"], rows["row"], strict=True)
    return [names.get(place) for place in places]
