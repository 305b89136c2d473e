import io

import numpy as np
import openpyxl
import pytest

from pipeline.errors import ConfigError
from pipeline.learn.feedback import take_feedback
from pipeline.learn.review_table import is_reviewers_table
from pipeline.store import catalog
from tests.builders.stores import small_store
from tests.builders.tables import write_embeddings


@pytest.fixture
def reviewed(tmp_path):
    """A store of six labelled crops, and a way to hand in a table about them."""
    names = {"çürük diş": "caries", "囊肿": "abscess"}
    small = small_store(tmp_path, classes=("abscess",), class_names=names)
    labels = ["healthy", "healthy", "caries", "caries", "healthy", None]
    ids = write_embeddings(small, np.ones((6, 512)), labels, list("abcdef"))

    def hand_in(*lines, header="crop_id,label,reviewer", encoding="utf-8", agreed=True):
        text = "\n".join([header, *lines]) + "\n"
        return hand_in.bytes("reviewed.csv", text.encode(encoding), agreed)

    def hand_in_bytes(name, content, agreed=True):
        file = tmp_path / name
        file.write_bytes(content)
        return take_feedback(small.settings, file, agreed)

    def now():
        with catalog.open_store(small.store) as con:
            rows = con.table("labels_now").to_arrow_table().to_pylist()
        return {row["crop_id"]: (row["label"], row["source"]) for row in rows}

    hand_in.bytes = hand_in_bytes
    hand_in.store, hand_in.now, hand_in.ids = small.store, now, ids
    return hand_in


def test_a_reviewers_label_beats_the_delivered_one_and_the_word_withdraw_withdraws(reviewed):
    a, b, *_, f = reviewed.ids
    taken = reviewed(f"{a},caries,kl", f"{b},Withdraw,kl", f"{f}, Healthy ,KL")
    assert (taken.appended, taken.withdrawn, taken.problems) == (3, 1, [])
    now = reviewed.now()
    assert now[a] == ("caries", "kl")
    assert b not in now
    assert now[f] == ("healthy", "kl")
    assert now[reviewed.ids[2]] == ("caries", "delivered")


def test_names_of_the_setting_class_names_are_labels_here_too(reviewed):
    a, b, *_ = reviewed.ids
    taken = reviewed(f"{a},Çürük diş,kl", f"{b},囊肿,kl")
    assert taken.problems == []
    assert (reviewed.now()[a][0], reviewed.now()[b][0]) == ("caries", "abscess")


def test_the_same_table_twice_changes_nothing_and_a_grown_one_adds_its_new_lines(reviewed):
    a, b, c, *_ = reviewed.ids
    lines = [f"{a},caries,kl", f"{b},withdraw,kl"]
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
        f"{c},龋齿,kl",
        f"{d},healthy,kl",
    )
    assert taken.appended == 1
    assert reviewed.now()[d] == ("healthy", "kl")
    for number, message in enumerate(
        ["no crop `nobody:whole`", "`carries` is none of abscess, caries, healthy; add it to",
         "is not a code of 1 to 16", "is not a code of 1 to 16", "reviewer `` is not a code",
         "`龋齿` cannot be stored; a label has 1 to 40 of a-z"],
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
    [("crop_id,label", r"has the columns crop_id, label; .*Add reviewer"), ("", "columns x, y; ")],
)
def test_a_table_without_its_columns_is_refused(reviewed, header, message):
    with pytest.raises(ConfigError, match=message):
        reviewed("x,y", header=header)


def test_a_table_of_a_spreadsheet_is_read_in_its_encoding(reviewed):
    a, b, *_ = reviewed.ids
    lines = f"{a};Karies?;caries;kl", f"{b};für später;abscess;kl"
    taken = reviewed(*lines, header="Crop ID;Notiz;Befund;Reviewer", encoding="cp1252")
    assert (taken.appended, taken.problems) == (2, [])
    assert "read as cp1252, a guess" in "\n".join(taken.format_lines())


def test_an_excel_file_is_read_and_its_rows_are_numbered_as_in_the_sheet(reviewed):
    a, b, *_ = reviewed.ids
    book, data = openpyxl.Workbook(), io.BytesIO()
    rows = ["Reviewed", "2026"], ["crop_id", "label", "class", "reviewer"]
    for row in (*rows, [a, "caries", "x", "kl"], [], [b, "carries", "", "kl"]):
        book.active.append(row)
    book.create_sheet("more").append(["x"])
    book.save(data)
    taken = reviewed.bytes("reviewed.xlsx", data.getvalue())
    assert taken.appended == 1
    [problem] = taken.problems
    assert problem.startswith("row 5: label `carries` is none of")
    assert taken.notes == [
        "the sheet `more` was not read",
        "the column `class` was not read; `label` was",
    ]


def test_a_line_with_more_values_than_columns_is_reported_and_not_read_in_the_wrong_ones(reviewed):
    a, b, *_ = reviewed.ids
    header = "crop_id,note,label,reviewer"
    taken = reviewed(f"{a},big, left,caries,kl", f"{b},small,caries,kl", header=header)
    assert taken.appended == 1
    assert "5 values for 4 columns" in taken.problems[0]


@pytest.mark.parametrize("content", [b"PK\3\4", bytes(range(256))])
def test_a_file_that_is_no_table_is_refused_with_the_reason(reviewed, content):
    with pytest.raises(ConfigError, match=r"reviewed.xlsx is no(t text| whole Excel file)"):
        reviewed.bytes("reviewed.xlsx", content)


@pytest.mark.parametrize(
    ("name", "content", "is_table"),
    [
        ("a.csv", "", True),
        ("a.TSV", "", True),
        ("a.xlsx", "", True),
        ("~$a.xlsx", "", False),
        ("a.xlsx.part", "", False),
        ("a.txt", "Crop ID\tlabel\treviewer\n", True),
        ("notes.txt", "crop_id\n", False),
        ("notes.docx", "crop_id,label,reviewer\n", False),
    ],
)
def test_tables_among_the_files_of_a_folder_are_known(tmp_path, name, content, is_table):
    (tmp_path / name).write_text(content)
    assert is_reviewers_table(tmp_path / name) == is_table


def test_every_line_is_counted_by_what_it_does_to_the_label_in_force(reviewed):
    a, b, c, d, e, f = reviewed.ids
    reviewed(f"{a},abscess,kl", f"{e},abscess,kl")
    taken = reviewed(
        f"{a},undo,kl",
        f"{b},caries,kl",
        f"{c},caries,kl",
        f"{d},withdraw,kl",
        f"{e},abscess,kl",
        f"{f},healthy,kl",
        f"{f},unsure,mm",
        f"{e},,mm",
    )
    counts = {"new": 1, "changed": 1, "confirmed": 1, "withdrawn": 1, "unsure": 1, "undone": 1}
    counts |= {"known": 1, "blank": 1, "appended": 6, "relabelled": 3, "in_force": 5}
    assert {name: getattr(taken, name) for name in counts} == counts
    assert taken.changes == [
        f"line 2: {a} abscess (kl), now undo (kl)",
        f"line 3: {b} healthy (delivered), now caries (kl)",
        f"line 5: {d} caries (delivered), now withdraw (kl)",
    ]
    assert taken.format_lines()[0].startswith("Labels: 1 new, 1 changed, 1 confirmed, 1 withdrawn")


def test_a_table_given_back_as_it_was_exported_changes_nothing(reviewed, tmp_path):
    a, b, *_ = reviewed.ids
    reviewed(f"{a},caries,kl")
    before = reviewed.store.names("labels")
    header = "crop_id,predicted,label,reviewer,note"
    for label in ("", " "):
        taken = reviewed(f"{a},caries,{label},kl,", f"{b},,{label},kl,", header=header)
        assert (taken.blank, taken.appended, taken.problems) == (2, 0, [])
    # A label that is already this reviewer's is no news either.
    taken = reviewed(f"{a},caries,caries,kl,", f"{b},,,kl,", header=header)
    assert (taken.known, taken.appended, taken.is_training_due) == (1, 0, False)
    assert reviewed.store.names("labels") == before


@pytest.mark.parametrize("word", ["unsure", "undo"])
def test_words_for_decisions_count_once_however_often_the_table_is_given(reviewed, word):
    a, *_ = reviewed.ids
    reviewed(f"{a},abscess,kl")
    reviewed(f"{a},caries,kl")
    assert reviewed(f"{a},{word},kl").appended == 1
    before = reviewed.now()
    assert before[a] == {"unsure": ("healthy", "delivered"), "undo": ("abscess", "kl")}[word]
    assert reviewed(f"{a},{word},kl").known == 1
    assert reviewed.now() == before


def test_a_table_with_a_column_for_the_decision_settles_a_dispute(reviewed):
    a, b, c, *_ = reviewed.ids
    reviewed(f"{a},caries,kl", f"{a},abscess,mm")
    assert a not in reviewed.now()
    header = "crop_id,decision,label,reviewer"
    lines = [f"{a},Consensus,caries,mm", f"{b},consensus,,mm", f"{c},undo,caries,mm"]
    taken = reviewed(*lines, f"{c},maybe,,mm", f"{c},undo,,mm", f"{b},,,", header=header)
    assert reviewed.now()[a] == ("caries", "mm")
    assert (taken.new, taken.blank) == (1, 1)
    for line, problem in zip(
        sorted(taken.problems),
        ["`consensus` needs a label", "`undo` needs no label", "`maybe` is none of",
         "mm has decided nothing about"],
        strict=True,
    ):  # fmt: skip
        assert problem in line
    assert reviewed(*lines, header=header).known == 1
    # The readings stay as they were: the same table again changes nothing.
    assert reviewed(f"{a},caries,kl", f"{a},abscess,mm").known == 2


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["0,withdraw,kl"], "it withdraws 1 labels"),
        (["0,caries,kl"], "it changes 1 of the 5 labels in force, which is more than a tenth"),
        (["0,healthy,kl", "5,caries,kl", "1,unsure,kl"], None),
    ],
)
def test_a_table_that_withdraws_or_changes_many_labels_waits_for_a_person(reviewed, lines, reason):
    named = [f"{reviewed.ids[int(line[0])]}{line[1:]}" for line in lines]
    before = reviewed.now(), reviewed.store.names("labels")
    taken = reviewed(*named, agreed=False)
    assert (taken.held or "").startswith(reason or "")
    assert bool(taken.held) == bool(reason)
    if reason:
        assert (taken.appended, taken.is_training_due) == (0, False)
        assert (reviewed.now(), reviewed.store.names("labels")) == before
        assert reviewed(*named).appended == len(lines)
        # Once a person agreed, the table is known and no reason to ask again.
        assert reviewed(*named, agreed=False).held is None


def test_a_tenth_of_the_labels_may_change(tmp_path):
    small, file = small_store(tmp_path), tmp_path / "reviewed.csv"
    ids = write_embeddings(small, np.ones((20, 512)), ["caries"] * 20, ["p"] * 20)
    for crops, appended in ((ids[:2], 2), (ids[2:5], 0)):
        file.write_text("\n".join(["crop_id,label,reviewer", *(f"{x},healthy,kl" for x in crops)]))
        assert take_feedback(small.settings, file).appended == appended
