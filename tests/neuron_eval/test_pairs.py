"""Files of pairs: texts or columns, and errors that name the line."""

import pytest

from neuron_eval.pairs import PairsError, read_pairs

TEXTS = ["Tabby cat", "snow", "grass"]


def _write(tmp_path, text):
    path = tmp_path / "pairs.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_texts_and_columns(tmp_path):
    path = _write(tmp_path, "\ufeffNeuron, Concept ,note\n0,tabby CAT,x\n5,2,y\n5,snow,z\n")
    assert read_pairs(path, TEXTS) == [(0, 0), (5, 2), (5, 1)]


def test_a_text_that_is_a_number_goes_before_a_column(tmp_path):
    assert read_pairs(_write(tmp_path, "neuron,concept\n0,1\n"), ["7", "0", "1"]) == [(0, 2)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("unit,concept\n0,snow\n", "found the columns unit, concept, expected neuron,concept"),
        ("neuron,concept\n", "found no row"),
        ("", r"found the columns \(none\)"),
        ("neuron,concept\n0,snow\n-1,snow\n", "line 3: neuron is '-1'"),
        ("neuron,concept\n0,dog\n", "line 2: concept is 'dog', expected .* 0 to 2"),
        ("neuron,concept\n0,3\n", "line 2: concept is '3'"),
        ("neuron,concept\n0\n", "line 2: concept is ''"),
    ],
)
def test_bad_files(tmp_path, content, message):
    with pytest.raises(PairsError, match=message):
        read_pairs(_write(tmp_path, content), TEXTS)


def test_missing_file(tmp_path):
    with pytest.raises(PairsError, match="no such file"):
        read_pairs(tmp_path / "none.csv", TEXTS)
