"""Explanation files: small samples in the shape of the published ones, and round trips."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_eval.explanation_files import (
    ExplanationFileError,
    match_concepts,
    read_explanations,
    write_explanations,
)
from neuron_eval.explanation_formats import TABLE_FORMATS, TextExplanation, TextTerm
from neuron_eval.explanations import Explanation, Term

SAMPLES = {
    "CLIP-Dissect": (
        "layer,unit,description,similarity\nlayer1,0,red,0.25\nlayer1,1,snow  shoe,0.5\n",
        [("layer1", 0, ["red"], 0.25), ("layer1", 1, ["snow shoe"], 0.5)],
    ),
    "unit and description (MILAN, or any method in standard form)": (
        'unit,description,sim correlation\n3,"bottles, cans",0.1\n4,signs,\n',
        [(None, 3, ["bottles, cans"], None), (None, 4, ["signs"], None)],
    ),
    "MILANNOTATIONS": (
        "layer,unit,summary\nconv1,2,a face\nconv1,2,a mask\n",
        [("conv1", 2, ["a face"], None), ("conv1", 2, ["a mask"], None)],
    ),
    "Network Dissection": (
        "unit,category,label,score,color-label\n1,part,body,0.04,grey-c\n3,scene,shoe_shop-s,0.1,red-c\n",
        [(None, 0, ["body"], 0.04), (None, 2, ["shoe shop"], 0.1)],
    ),
    "Describe-and-Dissect": (
        "Neuron ID,Label 1,Label 2\n29,spirals,circles\n50,snakes,\n",
        [
            (None, 29, ["spirals"], None),
            (None, 29, ["circles"], None),
            (None, 50, ["snakes"], None),
        ],
    ),
    "Linear Explanations": (
        """layer,unit,val correlation,weight0,concept0,weight1,concept1,bias
l4,0,0.3,0.75,lab coat,-0.5,woman's clothing,0.25
l4,1,0.2,1.5,bottle,0,0,0
""",
        [("l4", 0, ["lab coat", "woman's clothing"], 0.3), ("l4", 1, ["bottle"], 0.2)],
    ),
}


def test_there_is_a_sample_of_every_format():
    assert set(SAMPLES) == {table.name for table in TABLE_FORMATS}


def _flat(explanations):
    return [(e.layer, e.unit, [t.text for t in e.terms], e.score) for e in explanations]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_recognises_and_reads(tmp_path, name, start, ending):
    content, expected = SAMPLES[name]
    path = tmp_path / "file.csv"
    path.write_bytes((start + content.replace("\n", ending)).encode())
    result = read_explanations(path)
    assert result.format == name
    assert result.skipped == ()
    assert _flat(result.explanations) == expected
    assert name in result.summary()


def test_details(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text(SAMPLES["Linear Explanations"][0])
    first = read_explanations(path).explanations[0]
    assert first.terms == (TextTerm("lab coat", 0.75), TextTerm("woman's clothing", -0.5))
    assert first.bias == 0.25
    path.write_text(SAMPLES["Network Dissection"][0])
    result = read_explanations(path)
    assert "counted from 1" in result.notes[0]
    assert "columns not used: category, color-label" in result.notes[1]
    path.write_text(SAMPLES["Network Dissection"][0].replace("\n1,", "\n0,"))
    result = read_explanations(path)
    assert [e.unit for e in result.explanations] == [0, 3]
    assert "counted from 0" in result.notes[0]
    path.write_text(SAMPLES["MILANNOTATIONS"][0])
    assert [e.alternative for e in read_explanations(path).explanations] == [0, 1]


def test_bad_rows_are_left_out_with_reasons(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text(
        "layer,unit,description,similarity\n"
        "a,0,fine,0.5\n"
        "a,x,bad unit,0.5\n"
        "a,-1,bad unit,0.5\n"
        "a,1.5,bad unit,0.5\n"
        "a,2, ,0.5\n"
        "a,3,bad score,high\n"
        "a,4,infinite,inf\n"
        "\n"
        "a,5\n"
        "a,0,twice,0.1\n"
        "b,0,other layer,0.1\n"
    )
    result = read_explanations(path)
    assert _flat(result.explanations) == [("a", 0, ["fine"], 0.5), ("b", 0, ["other layer"], 0.1)]
    assert [(row.line, row.reason.split(",")[0]) for row in result.skipped] == [
        (3, "column 'unit' holds 'x'"),
        (4, "column 'unit' holds '-1'"),
        (5, "column 'unit' holds '1.5'"),
        (6, "column 'description' is empty"),
        (7, "column 'similarity' holds 'high'"),
        (8, "column 'similarity' holds 'inf'"),
        (10, "2 cells under 4 column names"),
        (11, "unit 0 of a has an explanation already"),
    ]
    assert "line 11 skipped: unit 0 of a has" in result.summary()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"found the columns \(none\)"),
        (b"a,b\n1,2\n", "found the columns a, b, expected those of one of: Linear"),
        (b"unit,description\n", "it has no rows"),
        (b"unit,description\nx,y\n", "expected a number"),
        (b"unit,unit,description\n", "'unit' twice"),
        (b"\xff\xfe\x00unit", "not UTF-8"),
        (b"{", "broken JSON"),
        (b"[1]", "JSON of another kind"),
        (b'{"format": "neuron-jury-explanations", "version": 2}', "found version 2"),
        (
            b'{"format": "neuron-jury-explanations", "version": 1, "explanations": [{"unit": 1}]}',
            "not a valid explanation",
        ),
    ],
)
def test_unreadable_files(tmp_path, content, message):
    path = tmp_path / "file.csv"
    path.write_bytes(content)
    with pytest.raises(ExplanationFileError, match=message):
        read_explanations(path)


def test_missing_file_and_bad_targets(tmp_path):
    with pytest.raises(ExplanationFileError, match="no such file"):
        read_explanations(tmp_path / "none.csv")
    with pytest.raises(ExplanationFileError, match=r"ends in \.csv or \.json"):
        write_explanations(tmp_path / "file.txt", [TextExplanation(0, (TextTerm("a"),))])
    with pytest.raises(ExplanationFileError, match="unit 0 has no terms"):
        write_explanations(tmp_path / "file.csv", [TextExplanation(0, ())])


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1
).filter(str.strip)
LAYERS = st.none() | st.sampled_from(["layer4", "a,b"])


@given(
    st.dictionaries(
        st.tuples(LAYERS, st.integers(0, 5000), st.integers(0, 3)),
        st.tuples(
            st.lists(st.builds(TextTerm, TEXTS, NUMBERS), min_size=1, max_size=3),
            NUMBERS,
            st.none() | NUMBERS,
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([".csv", ".json"]),
)
def test_our_format_keeps_everything(tmp_path_factory, content, suffix):
    explanations = [
        TextExplanation(unit, tuple(terms), layer, alternative, bias, score)
        for (layer, unit, alternative), (terms, bias, score) in content.items()
    ]
    path = tmp_path_factory.mktemp("files") / f"file{suffix}"
    write_explanations(path, explanations)
    result = read_explanations(path)
    assert list(result.explanations) == explanations
    assert result.skipped == ()


def test_json_is_plain(tmp_path):
    path = tmp_path / "file.json"
    write_explanations(path, [TextExplanation(7, (TextTerm("é"),))])
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["explanations"][0]["terms"] == [{"text": "é", "weight": 1.0}]


def test_matching_concepts():
    explanations = [
        TextExplanation(0, (TextTerm(" Lab  Coat", 2.0), TextTerm("dog")), bias=0.5, score=0.1),
        TextExplanation(1, (TextTerm("dog"), TextTerm("unicorn"))),
    ]
    matched, unmatched = match_concepts(explanations, ["dog", "lab coat"])
    assert matched == [Explanation(0, (Term(1, 2.0), Term(0, 1.0)), 0.5, 0.1)]
    assert unmatched == [(explanations[1], "unicorn")]
