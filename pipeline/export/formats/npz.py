"""NumPy: one file of arrays whose row i is crop i, opened without pickle.

features.npz    embedding, float16 (N, width) · p, float32 (N, classes), NaN without a prediction ·
                an array of every fact: numbers, or texts with an empty text for null
"""

import io
import zipfile

import numpy as np
import pandas as pd

from pipeline.export.embeddings import iter_embeddings
from pipeline.export.job import Export

NULL_NUMBER = -1  # of whole numbers, such as a tooth


def write(export: Export) -> dict[str, int]:
    """Write the file, without holding all embeddings in memory; return how many rows it has."""
    unpacked, array = export.out / "embedding.npy", None
    facts, count = [], 0
    for rows, values in iter_embeddings(export):
        if array is None:
            shape = (len(export.rows.crops), values.shape[1])
            array = np.lib.format.open_memmap(unpacked, "w+", np.dtype("<f2"), shape)
        array[count : count + len(rows)] = values
        facts.append(rows)
        count += len(rows)
    array.flush()
    with zipfile.ZipFile(export.out / "features.npz", "w") as archive:
        archive.write(unpacked, unpacked.name)
        for name, column in _arrays(export, pd.concat(facts)).items():
            data = io.BytesIO()
            np.save(data, column, allow_pickle=False)
            archive.writestr(f"{name}.npy", data.getvalue())
    unpacked.unlink()
    return {"crops": count}


def _arrays(export: Export, crops: pd.DataFrame) -> dict[str, np.ndarray]:
    facts = crops.drop(columns="probabilities")
    arrays = {name: _array(facts[name]) for name in facts}
    arrays["p"] = export.rows.class_columns().loc[crops.index].to_numpy()
    arrays["classes"] = np.array(export.rows.head_classes, np.str_)
    return arrays


def _array(column: pd.Series) -> np.ndarray:
    if isinstance(column.dtype, pd.Int8Dtype):
        return column.fillna(NULL_NUMBER).to_numpy(np.int8)
    if column.dtype.kind in "iufb":
        return column.to_numpy()
    if column.name in ("flagged", "seen"):
        return column.fillna(False).to_numpy(bool)
    if column.name == "p_abnormal":
        return column.to_numpy(np.float32)
    return column.fillna("").to_numpy().astype(np.str_)
