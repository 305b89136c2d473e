import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.learn.feedback import take_feedback
from pipeline.store import catalog
from tests.builders.stores import small_store
from tests.builders.tables import write_embeddings


@pytest.fixture
def reviewed(tmp_path):
    """A store of six labelled crops, and a way to hand in a table about them."""
    small = small_store(tmp_path, classes=("abscess",))
    labels = ["healthy", "healthy", "caries", "caries", "healthy", None]
    ids = write_embeddings(small, np.ones((6, 512)), labels, list("abcdef"))

    def hand_in(*lines, header="crop_id,label,reviewer"):
        file = tmp_path / "reviewed.csv"
        file.write_text("\n".join([header, *lines]) + "\n")
        return take_feedback(small.settings, file)

    def now():
        with catalog.open_store(small.store) as con:
            rows = con.table("labels_now").to_arrow_table().to_pylist()
        return {row["crop_id"]: (row["label"], row["source"]) for row in rows}

    hand_in.store, hand_in.now, hand_in.ids = small.store, now, ids
    return hand_in


def test_a_reviewers_label_beats_the_delivered_one_and_an_empty_one_withdraws(reviewed):
    a, b, *_, f = reviewed.ids
    taken = reviewed(f"{a},caries,kl", f"{b},,kl", f"{f}, Healthy ,KL")
    assert (taken.appended, taken.withdrawn, taken.problems) == (3, 1, [])
    now = reviewed.now()
    assert now[a] == ("caries", "kl")
    assert b not in now
    assert now[f] == ("healthy", "kl")
    assert now[reviewed.ids[2]] == ("caries", "delivered")


def test_the_same_table_twice_changes_nothing_and_a_grown_one_adds_its_new_lines(reviewed):
    a, b, c, *_ = reviewed.ids
    lines = [f"{a},caries,kl", f"{b},,kl"]
    reviewed(*lines)
    before = reviewed.store.names("labels"), reviewed.now()
    again = reviewed(*lines)
    assert (again.appended, again.known) == (0, 2)
    assert (reviewed.store.names("labels"), reviewed.now()) == before
    reviewed(f"{a},healthy,mm")
    grown = reviewed(*lines, f"{c},healthy,kl")
    assert (grown.appended, grown.known) == (1, 2)
    # Another reviewer's later label stays: the two are in dispute, and none is in force.
    assert a not in reviewed.now()


def test_of_two_lines_of_a_reviewer_about_a_crop_the_later_one_counts(reviewed):
    a, b, *_ = reviewed.ids
    taken = reviewed(f"{a},caries,kl", f"{a},abscess,kl", f"{b},abscess,mm", f"{b},abscess,kl")
    assert (taken.appended, taken.replaced) == (3, 1)
    assert reviewed.now()[a] == ("abscess", "kl")
    assert reviewed.now()[b] == ("abscess", "kl")


def test_unusable_lines_are_reported_with_their_number_and_the_others_are_used(reviewed):
    a, b, c, d, *_ = reviewed.ids
    taken = reviewed(
        "nobody:whole,caries,kl",
        f"{a},carries,kl",
        f"{b},caries,Dr. K. Lee",
        f"{c},healthy,delivered",
        f"{c},healthy",
        f"{c},läsion,kl",
        f"{d},healthy,kl",
    )
    assert taken.appended == 1
    assert reviewed.now()[d] == ("healthy", "kl")
    for number, message in enumerate(
        ["no crop `nobody:whole`", "`carries` is none of abscess, caries, healthy; add it to",
         "is not a code of 1 to 16", "is not a code of 1 to 16", "reviewer `` is not a code",
         "`läsion` cannot be stored; a label has 1 to 40 of a-z"],
        start=2,
    ):  # fmt: skip
        (problem,) = [each for each in taken.problems if each.startswith(f"line {number}:")]
        assert message in problem


@pytest.mark.parametrize("note", ["x" * 200_000, '"left" side', '"left'])
def test_lines_that_are_not_csv_are_reported_with_their_number(reviewed, note):
    a, b, *_ = reviewed.ids
    header = "crop_id,label,reviewer,note"
    taken = reviewed(f"{a},caries,kl", f"{b},caries,kl,{note}", header=header)
    assert taken.appended == 1
    [problem] = taken.problems
    assert problem.startswith("line 3: is not CSV")
    with pytest.raises(ConfigError, match="line 1 is not CSV"):
        reviewed(header=f'"{header}')


def test_semicolons_and_more_columns_are_accepted(reviewed):
    a, *_ = reviewed.ids
    taken = reviewed(f"kl;x;{a};caries", header="Reviewer;note;crop_id;label")
    assert taken.appended == 1


@pytest.mark.parametrize(
    ("header", "message"),
    [("crop_id,label", r"has the columns crop_id, label; .*Add reviewer"), ("", "columns none")],
)
def test_a_table_without_its_columns_is_refused(reviewed, header, message):
    with pytest.raises(ConfigError, match=message):
        reviewed("x,y", header=header)
