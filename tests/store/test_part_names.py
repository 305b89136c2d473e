"""Names of parts."""

from pipeline.store import part_names


def test_names_tell_table_maker_batch_and_number():
    assert part_names.scans_name("b", 1) == "scans/b/part-00001.parquet"
    assert part_names.crops_name("r", "b", 1) == "crops/r/b/part-00001.parquet"
    assert part_names.predictions_name("h", "b", 1) == "predictions/h/b/part-00001.parquet"
    assert part_names.labels_name("b", 1) == "labels/part-b-00001.parquet"
    assert part_names.background_crops_name("r", "b", 1).startswith("background_crops/r/b/")
    assert part_names.background_features_name("t", "b", 1).startswith("background_features/t/b/")
