"""Where the parts of every table lie, relative to the store. The same number is the same files."""


def part_name(folder: str, number: int) -> str:
    """The name of part `number` of a table's `folder`."""
    return f"{folder}/part-{number:05d}.parquet"


def scans_name(batch: str, number: int) -> str:
    """The ledger part of `batch`."""
    return part_name(f"scans/{batch}", number)


def crops_name(recipe: str, batch: str, number: int) -> str:
    """The crops that `recipe` cut from the scans of the same part number."""
    return part_name(f"crops/{recipe}/{batch}", number)


def background_crops_name(recipe: str, batch: str, number: int) -> str:
    """Crops of what is no finding, from the scans of the same part number that came with boxes."""
    return part_name(f"background_crops/{recipe}/{batch}", number)


def background_features_name(trunk: str, batch: str, number: int) -> str:
    """The embeddings that `trunk` made of the background of the same part number."""
    return part_name(f"background_features/{trunk}/{batch}", number)


def features_name(trunk: str, batch: str, number: int) -> str:
    """The embeddings that `trunk` made of the crops of the same part number."""
    return part_name(f"features/{trunk}/{batch}", number)


def predictions_name(head: str, batch: str, number: int) -> str:
    """What `head` says about the features of the same part number."""
    return part_name(f"predictions/{head}/{batch}", number)


def out_of_fold_name(head: str) -> str:
    """What models without them say about the rows that `head` was trained with."""
    return part_name(f"out_of_fold/{head}", 0)


def novelty_name(novelty: str, batch: str, number: int) -> str:
    """What the model `novelty` says about the features of the same part number."""
    return part_name(f"novelty/{novelty}/{batch}", number)


def drift_name(reference: str, batch: str, number: int) -> str:
    """How `batch`, as it is with part `number` as its last, compares with `reference`."""
    return part_name(f"drift/{reference}/{batch}", number)


def audits_name(batch: str, number: int) -> str:
    """The crops drawn for the audit when part `number` was the batch's last."""
    return part_name(f"audits/{batch}", number)


def labels_name(batch: str, number: int) -> str:
    """The labels that were delivered with the scans of the same part number."""
    return f"labels/part-{batch}-{number:05d}.parquet"
