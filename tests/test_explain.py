from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ArtifactError
from pipeline.model.dense import Dense, from_bytes, softmax
from pipeline.model.explain import explain

GRID = (4, 4, 3)
WIDTH = 48


@st.composite
def heads(draw, number=np.random.Generator.normal):
    """Heads of none to two hidden layers and two to five classes, with a float16 embedding."""
    sizes = [WIDTH, *draw(st.lists(st.integers(1, 20), max_size=2)), draw(st.integers(2, 5))]
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pairs = list(pairwise(sizes))
    kernels = tuple(np.asarray(number(random, size=pair), np.float64) for pair in pairs)
    biases = tuple(np.asarray(number(random, size=size), np.float64) for _, size in pairs)
    embedding = np.abs(np.asarray(number(random, size=WIDTH))).astype(np.float16)
    return Dense(kernels, biases), embedding, draw(st.integers(0, sizes[-1] - 1))


def whole_numbers(random, size):
    return random.integers(-8, 9, size)


@settings(max_examples=60, deadline=None)
@given(heads(whole_numbers))
def test_cells_and_constant_are_the_logit_to_the_last_bit_where_sums_do_not_round(case):
    head, embedding, normal = case
    found = explain(head, embedding, normal, GRID)
    logits = head.logits(embedding)
    assert found.cells.shape == (4, 4)
    assert found.cells.sum() + found.constant == logits[found.finding] - logits[normal]


@settings(max_examples=60, deadline=None)
@given(heads())
def test_cells_and_constant_are_the_logit_for_any_head(case):
    head, embedding, normal = case
    found = explain(head, embedding, normal, GRID)
    logits = head.logits(embedding)
    size = np.abs(found.cells).sum() + abs(found.constant)
    assert abs(found.difference - (logits[found.finding] - logits[normal])) <= 1e-13 * (1 + size)


@settings(max_examples=30, deadline=None)
@given(heads())
def test_the_finding_is_the_likeliest_class_but_normal(case):
    head, embedding, normal = case
    logits = head.logits(embedding)
    logits[normal] = -np.inf
    assert explain(head, embedding, normal, GRID).finding == logits.argmax()


def test_a_cell_tells_what_its_own_channels_add_in_row_column_channel_order():
    kernel = np.zeros((WIDTH, 2))
    kernel.reshape(*GRID, 2)[2, 1, :, 1] = [1, 10, 100]
    embedding = np.ones(WIDTH, np.float16)
    found = explain(Dense((kernel,), (np.array([0.0, -5.0]),)), embedding, 0, GRID)
    expected = np.zeros((4, 4))
    expected[2, 1] = 111
    np.testing.assert_array_equal(found.cells, expected)
    assert found.constant == -5


def test_a_head_of_another_width_is_refused():
    head = Dense((np.zeros((WIDTH, 2)),), (np.zeros(2),))
    with pytest.raises(ArtifactError, match=r"takes embeddings of 48 values, this one has 47"):
        explain(head, np.zeros(47, np.float16), 0, GRID)


def test_bytes_that_are_no_head_are_told():
    with pytest.raises(ArtifactError, match="no readable head"):
        from_bytes(b"not a model")
    assert softmax(np.array([1000.0, 1000.0])) == pytest.approx([0.5, 0.5])
