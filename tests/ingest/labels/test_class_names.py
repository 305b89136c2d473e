"""What class names mean: findings, teeth, both, or nothing that can be used."""

import pytest

from pipeline.ingest.labels.class_names import ClassReader, LabelSettings, Meaning
from pipeline.ingest.labels.teeth import FDI, TEETH, ToothReader, tooth_key

FDI_NAMES = [str(tooth) for tooth in sorted(FDI)]
UNIVERSAL_NAMES = [str(number) for number in range(1, 33)]
LETTERS = list("ABCDEFGHIJKLMNOPQRST")


def read(*names, declared=(), **settings):
    reader = ClassReader(names, LabelSettings(**settings), declared)
    return [reader.read(name) for name in names]


def test_letters_with_a_plain_base_letter_are_folded():
    names = ["Çürük", "kron/köprü", "Wurzelfüllung", "Weiß", "Sağlıklı", "İmplant", "Lésion ø"]
    labels = ["curuk", None, "wurzelfullung", "weiss", "saglikli", "implant", "lesion_o"]
    assert [meaning and meaning.label for meaning in read(*names)] == labels


@pytest.mark.parametrize("name", ["龋齿", "تسوس", "Crown/Bridge", "кариес", "虫歯", ""])
def test_any_name_can_be_mapped_and_the_line_to_do_so_is_given(name):
    reader = ClassReader([name], LabelSettings())
    assert reader.read(name) is None
    assert f'class_names = {{"{name}" = "…"}}' in reader.problem(name)
    if name:
        assert read(name, class_names={name: "caries"}) == [Meaning("caries", None)]


def test_names_of_the_setting_match_whatever_their_case_accents_and_blanks():
    names = {"çürük": "caries", "Crown / Bridge": "crown"}
    found = read("ÇÜRÜK", "curuk", " crown/bridge ", "Crown/Bridge", class_names=names)
    assert [meaning.label for meaning in found] == ["caries", "caries", "crown", "crown"]


def test_the_setting_goes_before_the_declared_classes_and_before_teeth():
    found = read("11", "21", "x", declared={"caries"}, class_names={"11": "grade_11", "x": "pulp"})
    assert found == [Meaning("grade_11", None), Meaning(None, 21), Meaning("pulp", None)]


@pytest.mark.parametrize("form", ["{}", "tooth {}", "Tooth_{}", "FDI-{}", "#{}", "{}.0", " {} "])
def test_classes_that_are_all_fdi_numbers_are_teeth_and_no_findings(form):
    names = [form.format(tooth) for tooth in FDI_NAMES]
    assert read(*names) == [Meaning(None, tooth) for tooth in sorted(FDI)]


@pytest.mark.parametrize("names", [["1", "2", "3", "4"], UNIVERSAL_NAMES[:8], ["Q1", "quadrant 2"]])
def test_quadrants_and_places_in_them_are_no_findings(names):
    assert read(*names) == [Meaning(None, None)] * len(names)


@pytest.mark.parametrize(
    "names", [UNIVERSAL_NAMES, LETTERS, UNIVERSAL_NAMES + LETTERS, ["3", "14", "19", "30"], ["UR6"]]
)
def test_teeth_of_another_notation_are_not_used_and_the_setting_is_named(names):
    reader = ClassReader(names, LabelSettings())
    assert {reader.read(name) for name in names} == {None}
    assert "`numbering`" in reader.problem(names[0])


def test_teeth_and_findings_in_one_file_are_distinguished_when_there_are_many_teeth():
    names = [*FDI_NAMES[:9], "caries"]
    assert read(*names)[-2:] == [Meaning(None, 21), Meaning("caries", None)]
    assert read(*UNIVERSAL_NAMES, "caries")[-2:] == [None, Meaning("caries", None)]
    assert read("a", "b") == [Meaning("a", None), Meaning("b", None)]
    assert read("0", "1") == [Meaning("0", None), Meaning("1", None)]
    assert read("1.5", "36")[1] == Meaning("36", None)


def test_universal_numbers_run_round_the_mouth_from_the_upper_right():
    permanent = [*range(18, 10, -1), *range(21, 29), *range(38, 30, -1), *range(41, 49)]
    primary = [55, 54, 53, 52, 51, 61, 62, 63, 64, 65, 75, 74, 73, 72, 71, 81, 82, 83, 84, 85]
    assert [tooth for _, tooth in read(*UNIVERSAL_NAMES, numbering="universal")] == permanent
    assert [tooth for _, tooth in read(*LETTERS, numbering="universal")] == primary
    assert set(TEETH["universal"].values()) == FDI


@pytest.mark.parametrize("form", ["{0}{1}", "{1}{0}", "{0} {1}", "{0}-{1}", "{1}_{0}"])
@pytest.mark.parametrize(
    ("permanent", "primary", "spellings"),
    [
        (1, 5, ["UR", "ur", "┘", "⏌"]),
        (2, 6, ["UL", "ul", "└", "⎿"]),
        (3, 7, ["LL", "ll", "┌", "⎾"]),
        (4, 8, ["LR", "lr", "┐", "⏋"]),
    ],
)
def test_palmer_numbers_have_a_quadrant_and_a_place(form, permanent, primary, spellings):
    for quadrant in spellings:
        numbers = [form.format(quadrant, place) for place in "12345678ABCDE"]
        teeth = [10 * permanent + place for place in range(1, 9)]
        teeth += [10 * primary + place for place in range(1, 6)]
        assert [tooth for _, tooth in read(*numbers, numbering="palmer")] == teeth
    assert set(TEETH["palmer"].values()) == FDI


def test_a_column_of_teeth_is_read_in_the_notation_of_the_setting():
    assert [ToothReader(["36", "18.0"], "fdi").read(text) for text in ("36", "18.0")] == [36, 18]
    assert ToothReader(["3", "14"], "universal").read("14") == 26
    reader = ToothReader(["3", "14"], "fdi")
    assert reader.read("14") is None
    assert "`numbering`" in reader.expected()
    reader = ToothReader(["36", "99"], "fdi")
    assert (reader.read("36"), reader.read("99")) == (36, None)
    assert reader.expected() == "an FDI number (11 to 48, 51 to 85)"


@pytest.mark.parametrize(
    ("name", "label", "tooth"),
    [
        ("1-çürük-26", "curuk", 26),
        ("caries_36", "caries", 36),
        ("36 caries", "caries", 36),
        ("Deep Caries (85)", "deep_caries", 85),
        ("deep_caries/tooth 36", "deep_caries", 36),
        ("tooth 36: caries", "caries", 36),
        ("class_11", "class_11", None),
        ("type-2", "type-2", None),
        ("Type 12", "type_12", None),
        ("caries_9", "caries_9", None),
        ("caries-36-37", "caries-36-37", None),
        ("k02.51", "k02.51", None),
        ("f_11", "f_11", None),
    ],
)
def test_a_finding_with_its_tooth_gives_both(name, label, tooth):
    assert read(name) == [Meaning(label, tooth)]


def test_numbers_are_teeth_only_if_all_of_the_file_are_and_stand_in_one_place():
    assert read("caries_1", "caries_11")[1] == Meaning("caries_11", None)
    assert read("caries 11", "12 caries")[0] == Meaning("caries_11", None)
    assert read("caries 11", "healthy") == [Meaning("caries", 11), Meaning("healthy", None)]


def test_the_finding_beside_a_tooth_may_be_mapped_or_is_reported_without_the_tooth():
    assert read("1-çürük-26", class_names={"çürük": "caries"}) == [Meaning("caries", 26)]
    reader = ClassReader(["1-龋齿-26"], LabelSettings())
    assert reader.read("1-龋齿-26") is None
    assert 'class_names = {"龋齿" = "…"}' in reader.problem("1-龋齿-26")


def test_declared_classes_limit_the_others_and_are_named():
    reader = ClassReader(["caries", "carries"], LabelSettings(), {"caries", "healthy"})
    assert reader.read("caries") == Meaning("caries", None)
    assert reader.read("carries") is None
    assert "(caries, healthy)" in reader.problem("carries")


@pytest.mark.parametrize("text", ["", " ", "0", "9", "49", "abc", "1,1", "q5", "ur9", "9" * 5_000])
def test_what_is_no_tooth_has_no_key_or_no_tooth(text):
    assert TEETH["fdi"].get(tooth_key(text) or "") is None
