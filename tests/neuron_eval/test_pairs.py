"""Files of pairs: texts or columns, and errors that name the line."""

import numpy as np
import pytest

from neuron_eval.pairs import PairsError, read_known_labels, read_pairs, read_relations

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


def test_relations(tmp_path):
    path = _write(tmp_path, "narrower,broader\nsnow,grass\n0,grass\nsnow,0\n")
    broader, narrower = read_relations(path, TEXTS)
    assert broader == {1: [2, 0], 0: [2]}
    assert narrower == {2: [1, 0], 0: [1]}
    with pytest.raises(PairsError, match="line 2: 'snow' cannot be broader than itself"):
        read_relations(_write(tmp_path, "narrower,broader\nsnow,1\n"), TEXTS)
    with pytest.raises(PairsError, match="line 2: broader is 'ice'"):
        read_relations(_write(tmp_path, "narrower,broader\nsnow,ice\n"), TEXTS)


def test_known_labels(tmp_path):
    inputs = ["a.png", "sub/b.png", "c.png"]
    path = _write(
        tmp_path, "input,concept,label\nsub/b.png,snow,1\n0,grass,0\n2,Tabby cat,1\n0,grass,0\n"
    )
    expected = np.full((3, 3), np.nan)
    expected[1, 1], expected[0, 2], expected[2, 0] = 1, 0, 1
    np.testing.assert_array_equal(read_known_labels(path, inputs, TEXTS), expected)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "d.png,snow,1",
            "line 2: input is 'd.png', expected the name of an input, such as 'a.png'",
        ),
        ("0,snow,yes", "line 2: label is 'yes', expected 0 or 1"),
        ("0,ice,1", "line 2: concept is 'ice'"),
        ("0,snow,1\na.png,snow,0", "line 3: 'snow' on 'a.png' is 0 here and was 1 before"),
    ],
)
def test_bad_known_labels(tmp_path, row, message):
    path = _write(tmp_path, f"input,concept,label\n{row}\n")
    with pytest.raises(PairsError, match=message):
        read_known_labels(path, ["a.png"], TEXTS)
