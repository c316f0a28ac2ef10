"""Texts stand one a line, and a line that is none is named."""

import pytest

from neuron_eval.matrices import MatrixFileError
from neuron_eval.text_files import read_texts


def test_texts(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_bytes("\ufeffa cat\r\n dog \r\nline\u2028separator".encode())
    assert read_texts(path) == ("a cat", "dog", "line\u2028separator")
    path.write_bytes(b"tench\rgoldfish\r")  # lines of old Macs
    assert read_texts(path) == ("tench", "goldfish")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\n\nb\n", "line 2 is blank"),
        (b"", "line 1 is blank"),
        (b"a\nb\n\n", "line 3 is blank"),
        (b"a\nb\na\n", "line 3 repeats 'a' of line 1"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_texts_refuse(tmp_path, content, message):
    path = tmp_path / "texts.txt"
    path.write_bytes(content)
    with pytest.raises(MatrixFileError, match=message):
        read_texts(path)


def test_texts_may_repeat_where_they_are_names(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("missile\nduck\nmissile\n")
    assert read_texts(path, unique=False) == ("missile", "duck", "missile")
    with pytest.raises(MatrixFileError, match="no such file"):
        read_texts(tmp_path / "none.txt")
