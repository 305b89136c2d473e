"""Text in the encodings of people's programs, and bytes that are no text."""

import pytest

from pipeline.ingest.tables.encodings import UndecodableText, decode_start, decode_text

GERMAN = "Datei;Befund;Patient\nzahn1.png;Karies;Müller\nb.png;gesund;Großmann\n"
KOREAN = "파일명,진단,환자\na.png,충치,김철수\nb.png,정상,이영희\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("text", [GERMAN, KOREAN, "file\n", ""])
def test_unicode_is_decoded_without_a_guess(text, encoding):
    found = decode_text(text.encode(encoding))
    assert (found.text, found.is_guess) == (text, False)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_its_mark_is_recognised(encoding):
    found = decode_text(GERMAN.encode(encoding))
    assert found == (GERMAN, encoding, True)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "cp1252"),
        ("file;patient\na.png;Müller\n", "cp1252"),
        ("FÄLLE;Ärztin\n", "cp1252"),
        ("fichier;diagnostic\na.png;carie dépassée\n", "cp1252"),
        ("archivo;paciente\na.png;Núñez\n", "cp1252"),
        ("file,price\na.png,5 €\n", "cp1252"),
        ("dosya;sınıf\na.png;çürük\nb.png;diş taşı\n", "cp1254"),
        ("plik;pacjent\na.png;Łukasz Żak\nb.png;Święcicki\n", "cp1250"),
        (KOREAN, "cp949"),
        ("file,patient\na.png,김철수\n", "cp949"),
        ("file,patient\na.png,박\n", "cp949"),
        ("файл;диагноз\na.png;кариес\n", "cp1251"),
        ("ファイル,診断\na.png,う蝕\n", "cp932"),
        ("文件,诊断\na.png,龋齿\n", "gb18030"),
    ],
)
def test_older_encodings_are_guessed(text, encoding):
    assert decode_text(text.encode(encoding)) == (text, encoding, True)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (KOREAN.encode()[:-2], "ends within a character"),
        (GERMAN.encode("utf-16")[:-1], "ends within a character"),
        (KOREAN.encode() + b"c.png,\xff\n", "UTF-8 text but for its line 4"),
        (b"\xff\xfe\x00\xd8\x00\xd8a\0", "begins as UTF-16 text"),
        (b"PK\3\4\0\0\x81\x90\xff\x01\x02", "not text in a known encoding"),
    ],
)
def test_damaged_text_is_refused_with_its_reason(data, message):
    with pytest.raises(UndecodableText, match=message):
        decode_text(data)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(KOREAN, "utf-8"), (KOREAN, "utf-16"), (KOREAN, "cp949"), (GERMAN, "utf-16-le")],
)
def test_the_beginning_of_a_text_may_be_cut_anywhere(text, encoding):
    data, header = (3 * text).encode(encoding), text.split("\n")[0]
    for end in range(len(f"{header}\n".encode(encoding)), len(data)):
        assert decode_start(data[:end]).startswith(header)
