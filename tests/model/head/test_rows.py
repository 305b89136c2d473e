"""Training reads every embedding once an epoch, shuffled, and never many at a time."""

import weakref

import numpy as np
import pytest

from pipeline.model.head import augment
from pipeline.model.head import rows as row_source
from pipeline.model.head.rows import (
    InMemoryEmbeddings,
    Standardisation,
    over_rows,
    shuffled_batches,
)


class Rows(np.ndarray):
    """An array that can be watched."""


class Counted:
    """A source of many row groups that counts how many rows of them are alive at a time."""

    width = 4

    def __init__(self, groups, size):
        self.groups, self.size, self.alive, self.most = groups, size, 0, 0

    def blocks(self, mask, random=None):
        for group in random.permutation(self.groups) if random else range(self.groups):
            numbers = np.arange(group * self.size, (group + 1) * self.size)
            rows = np.repeat(numbers[:, np.newaxis], self.width, axis=1).astype(float).view(Rows)
            self.alive += self.size
            self.most = max(self.most, self.alive)
            weakref.finalize(rows, self._gone)
            yield numbers[mask[numbers]], rows[mask[numbers]].view(Rows)
            del rows

    def _gone(self):
        self.alive -= self.size


@pytest.mark.parametrize("groups", [20, 80])
def test_memory_does_not_grow_with_the_number_of_rows(groups, monkeypatch):
    monkeypatch.setattr(row_source, "POOL", 64)
    source, every = Counted(groups, 16), np.ones(groups * 16, bool)
    sizes = []
    for numbers, rows in shuffled_batches(source, every, 10, np.random.default_rng(0)):
        sizes.append(len(numbers))
        assert (np.asarray(rows)[:, 0] == numbers).all()
    Standardisation.of(source, every)
    over_rows(source, every, lambda rows: np.asarray(rows)[:, 0].copy())
    assert sum(sizes) == groups * 16
    assert source.most <= 64 + 2 * 16


@pytest.mark.parametrize("pool", [8, 30, 1000])
def test_an_epoch_has_every_selected_row_once_in_full_batches(pool, monkeypatch):
    monkeypatch.setattr(row_source, "POOL", pool)
    mask = np.arange(96) % 3 > 0
    batches = list(shuffled_batches(Counted(6, 16), mask, 10, np.random.default_rng(0)))
    assert [len(numbers) for numbers, _ in batches] == [10] * 6 + [4]
    seen = np.concatenate([numbers for numbers, _ in batches])
    assert sorted(seen) == np.flatnonzero(mask).tolist()
    assert (seen != sorted(seen)).mean() > 0.8


def test_rows_in_memory_are_shuffled_as_a_whole_and_the_seed_decides(monkeypatch):
    monkeypatch.setattr(row_source, "POOL", 1)
    source, every = InMemoryEmbeddings(np.arange(4000).reshape(4000, 1)), np.ones(4000, bool)
    first, again, other = (
        np.concatenate(
            [n for n, _ in shuffled_batches(source, every, 64, np.random.default_rng(seed))]
        )
        for seed in (0, 0, 1)
    )
    assert (first == again).all()
    assert (first != other).any()
    # Rows of one batch come from everywhere.
    assert np.ptp(first[:64]) > 3000


def test_results_are_in_the_order_of_the_rows():
    class Backwards(Counted):
        def blocks(self, mask, random=None):
            yield from reversed(list(super().blocks(mask, random)))

    even = np.arange(64) % 2 == 0
    found = over_rows(Backwards(4, 16), even, lambda rows: np.asarray(rows)[:, 0])
    assert found.tolist() == list(range(0, 64, 2))


@pytest.fixture(scope="module")
def rows():
    random = np.random.default_rng(0)
    return (random.standard_normal((200, 40)) * np.linspace(0.1, 3, 40) + 5).astype(np.float16)


def test_standardisation_is_measured_on_training_rows_alone(rows):
    learn = np.arange(200) < 140
    spoilt = rows.copy()
    spoilt[~learn] = 1000
    before, after = (Standardisation.of(InMemoryEmbeddings(each), learn) for each in (rows, spoilt))
    assert (before.mean == after.mean).all()
    assert (before.scale == after.scale).all()
    batch = before(rows[learn])
    assert batch.mean(axis=0) == pytest.approx(np.zeros(40), abs=1e-3)
    assert batch[:, 10:].std(axis=0) == pytest.approx(np.ones(30), abs=1e-2)


def test_every_cell_of_a_channel_is_standardised_alike(rows):
    found = Standardisation.of(InMemoryEmbeddings(rows), np.ones(200, bool), channels=8)
    values = rows.astype(float).reshape(-1, 8)
    np.testing.assert_allclose(found.mean, np.tile(values.mean(axis=0), 5))
    np.testing.assert_allclose(found.scale, np.tile(1 / values.std(axis=0), 5), rtol=1e-6)


def test_a_feature_that_never_varied_in_training_cannot_dominate_later(rows):
    embeddings = rows.copy()
    embeddings[:, 0] = 0
    features = Standardisation.of(InMemoryEmbeddings(embeddings), np.ones(200, bool))
    assert features.scale[0] <= 10 / (1 / features.scale).mean() * 1.1
    silent = Standardisation.of(InMemoryEmbeddings(np.zeros((4, 3), np.float16)), np.ones(4, bool))
    assert np.isfinite(silent.scale).all()


def test_folding_the_standardisation_into_a_layer_changes_no_output(rows):
    random = np.random.default_rng(0)
    features = Standardisation.of(InMemoryEmbeddings(rows), np.ones(200, bool))
    kernel, bias = random.standard_normal((40, 6)), random.standard_normal(6)
    raw, offset = features.folded_into([kernel, bias])
    np.testing.assert_allclose(rows @ raw + offset, features(rows) @ kernel + bias, atol=1e-3)


def test_maps_move_by_whole_cells_and_zeros_come_in():
    grid = (4, 4, 2)
    one = np.arange(1, 33, dtype=np.float32).reshape(grid)
    moved = augment.augment(np.tile(one.ravel(), (300, 1)), grid, np.random.default_rng(0))
    padded = np.pad(one, ((1, 1), (1, 1), (0, 0)))
    cuts = [padded[y : y + 4, x : x + 4] for y in range(3) for x in range(3)]
    allowed = {each.tobytes() for cut in cuts for each in (cut, cut[:, ::-1])}
    found = {each.reshape(grid).tobytes() for each in moved}
    assert found == allowed
    assert len(allowed) == 18
