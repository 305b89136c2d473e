"""The store's key, and the words of a store that cannot be used."""

import os
import shutil
import stat

import pytest

from pipeline import config
from pipeline.errors import ConfigError, StoreError
from pipeline.jobs.process_batch import run_batch
from pipeline.stages.plan import deliver
from tests.builders import stores
from tests.builders.fakes import use_fakes
from tests.builders.scans import scan, write_files


def opened(root, **changes):
    """A small store that makes its own key."""
    return stores.small_store(root, key=None, **changes)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_store_gets_a_key_that_only_its_owner_can_read(tmp_path):
    private = opened(tmp_path).private
    assert mode(private.root) == 0o700
    assert mode(private.root / "key") == 0o600
    assert private.root == tmp_path / "store.private"


def test_the_key_is_kept_and_is_nowhere_in_the_store(tmp_path):
    first, second = opened(tmp_path).private, opened(tmp_path).private
    assert first.patient_key("Ann") == second.patient_key("Ann")
    key = (first.root / "key").read_text().strip()
    for path in (tmp_path / "store").rglob("*"):
        assert not path.is_file() or key.encode() not in path.read_bytes()


def test_a_patient_id_is_the_same_trimmed_and_normalised(tmp_path):
    private = opened(tmp_path).private
    assert private.patient_key(" Ａnn ") == private.patient_key("Ann")
    assert private.patient_key("Ann") != private.patient_key("Bob")
    assert private.keyed("scan", "Ann") != private.patient_key("Ann")


def test_a_lone_surrogate_in_a_patient_id_is_keyed(tmp_path):
    private = opened(tmp_path).private
    keys = {private.patient_key(patient) for patient in ("\ud800", "\udfff", "\ud800x", "x", "?")}
    assert len(keys) == 5
    assert private.patient_key("Zoë") == private.keyed("patient", "Zoë".encode())


def test_the_key_of_another_store_is_refused(tmp_path):
    opened(tmp_path / "one")
    opened(tmp_path / "two")
    with pytest.raises(StoreError, match="is not the key of the store"):
        opened(tmp_path / "one", private=tmp_path / "two" / "store.private")


def test_a_lost_key_is_an_error_and_never_replaced(tmp_path):
    key = opened(tmp_path).private.root / "key"
    key.unlink()
    with pytest.raises(StoreError, match=r"The key of this store is missing.*backup"):
        opened(tmp_path)
    assert not key.exists()


def test_a_key_that_is_put_back_makes_the_store_usable_again(tmp_path):
    private = opened(tmp_path).private
    backup = (private.root / "key").read_bytes()
    (private.root / "key").unlink()
    with pytest.raises(StoreError, match="missing"):
        opened(tmp_path)
    private.write("key", backup)
    assert opened(tmp_path).private.patient_key("Ann") == private.patient_key("Ann")


def test_lost_delivery_lists_are_an_error_and_the_batch_can_be_delivered_under_another_name(
    tmp_path, monkeypatch
):
    use_fakes(monkeypatch)
    store, folder = opened(tmp_path), write_files(tmp_path / "in", a_png=scan())
    run_batch(store, deliver(folder, "b", store))
    shutil.rmtree(store.private.root / "deliveries")
    write_files(folder, new_png=scan())
    with pytest.raises(StoreError, match="delivery lists are missing"):
        run_batch(store, deliver(folder, "b", store))
    summary = run_batch(store, deliver(folder, "again", store))
    assert (summary.counts["accepted"], summary.counts["duplicate"]) == (1, 1)
    assert summary.broken_checks == []


def test_a_damaged_key_is_an_error(tmp_path):
    key = opened(tmp_path).private.root / "key"
    key.write_text("no key")
    with pytest.raises(StoreError, match="cannot be used"):
        opened(tmp_path)


def test_a_private_folder_inside_the_store_is_refused(tmp_path):
    with pytest.raises(StoreError, match="lies inside the store"):
        opened(tmp_path, private=tmp_path / "store" / "private")


def test_a_store_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "store").write_text("no folder")
    with pytest.raises(StoreError, match="cannot be written"):
        opened(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_store_is_an_error(tmp_path):
    opened(tmp_path)
    (tmp_path / "store").chmod(0o500)
    with pytest.raises(StoreError, match="cannot be written"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("DENTAL_STROE", "x", r"Unknown variable `DENTAL_STROE`. Did you mean `DENTAL_STORE`\?"),
        ("DENTAL_MAX_PIXELS", "0", "`max_pixels` is '0'.*greater than or equal to 1"),
        ("DENTAL_TRUNK__SEED", "x", "Setting `trunk.seed` is 'x'"),
        ("DENTAL_HEAD__EPOCHZ", "2", "DENTAL_HEAD__EPOCHZ: unknown setting `head.epochz`"),
        ("DENTAL_NORMAL_CLASS", "病变", "`normal_class` is '病变': a label has 1 to 40 of a-z"),
        ("DENTAL_CONFIG", "missing.toml", "names missing.toml, which is no file"),
    ],
)
def test_a_wrong_variable_is_an_error(monkeypatch, variable, value, says):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=says):
        config.load()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("part_sise = 3", r"dental.toml: unknown setting `part_sise`. Did you mean `part_size`\?"),
        ("[head]\nepoch = 3", r"unknown setting `head.epoch`. Did you mean `epochs`\?"),
        ("[[trunk.layers]]\nfilters = 3\nkernal = 3", r"unknown setting `trunk.layers.0.kernal`"),
        ("part_size = ", "not valid TOML"),
        ("workers = 'many'", "Setting `workers` is 'many'"),
    ],
)
def test_a_typing_error_in_the_settings_file_is_an_error(tmp_path, monkeypatch, text, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dental.toml").write_text(text)
    with pytest.raises(ConfigError, match=says):
        config.load()


def test_a_setting_that_is_a_label_means_what_a_delivery_means_by_it():
    settings = config.load(normal_class="Healthy", classes=("Periapical Abscess",))
    assert (settings.normal_class, settings.classes) == ("healthy", ("periapical_abscess",))
