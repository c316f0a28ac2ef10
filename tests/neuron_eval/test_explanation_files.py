"""Explanation files: small samples in the shape of the published ones, and round trips."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_eval.explanation_files import (
    ExplanationFileError,
    match_concepts,
    read_explanations,
    to_text_explanations,
    write_explanations,
)
from neuron_eval.explanation_formats import TABLE_FORMATS, TextExplanation, TextTerm
from neuron_eval.explanations import Explanation, Term
from neuron_eval.formulas import Formula, Literal
from neuron_eval.validation import InputError

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


def _read(tmp_path, content, **options):
    path = tmp_path / "file.csv"
    path.write_bytes(content.encode())
    return read_explanations(path, **options)


def test_details(tmp_path):
    first = _read(tmp_path, SAMPLES["Linear Explanations"][0]).explanations[0]
    assert first.terms == (TextTerm("lab coat", 0.75), TextTerm("woman's clothing", -0.5))
    assert first.bias == 0.25
    result = _read(tmp_path, SAMPLES["MILANNOTATIONS"][0])
    assert [e.alternative for e in result.explanations] == [0, 1]
    result = _read(tmp_path, SAMPLES["Network Dissection"][0])
    assert result.notes == (
        "ending -s (scene) or -c (colour) of a label removed (1 time)",
        "underscores of a label replaced by blanks (1 time)",
        "units are counted from 1 in the file and from 0 here",
        "columns not used: category, color-label",
    )


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "Linear Explanations",  # three terms, all orders of signs, exponents, no bias
            (
                "unit,weight0,concept0,weight1,concept1,weight2,concept2\n"
                "3,-1.5e-3,0,1E1,a b,+.5,c\n4,nan,,0.0,0,2,d\n"
            ),
            [(3, [("0", -0.0015), ("a b", 10.0), ("c", 0.5)]), (4, [("d", 2.0)])],
        ),
        (
            "Linear Explanations",  # twelve terms: place 10 comes after place 9, not after 1
            "unit," + ",".join(f"concept{k},weight{k}" for k in range(12)) + "\n"
            "0," + ",".join(f"c{k},{k + 1}" for k in range(12)) + "\n",
            [(0, [(f"c{k}", k + 1.0) for k in range(12)])],
        ),
        (
            "Network Dissection",  # a category never seen, no score in one row, endings
            (
                "unit,category,label,score,smell-label,smell-iou\n"
                "7,smell,vitamin_c-s,1e-2,a,1\n9,scene,apartment_building-outdoor-s,,b,0\n"
                "8,color,grey-c,0,a,1\n"
            ),
            [
                (6, [("vitamin c-s", 1.0)]),
                (8, [("apartment building-outdoor", 1.0)]),
                (7, [("grey", 1.0)]),
            ],
        ),
        (
            "Describe-and-Dissect",  # one label without a number, as in files of output layers
            'Neuron ID,label\n0,fishing\n1,"""mens formal wear"""\n',
            [(0, [("fishing", 1.0)]), (1, [("mens formal wear", 1.0)])],
        ),
        (
            "Describe-and-Dissect",  # five labels
            "Neuron ID,Label 1,Label 2,Label 3,Label 4,Label 5\n5,a, ,b,nan,c\n",
            [(5, [("a", 1.0)]), (5, [("b", 1.0)]), (5, [("c", 1.0)])],
        ),
        (
            "unit and description (MILAN, or any method in standard form)",
            'unit,description\n0,"a ""quoted"" word, and\na second line"\n2,None\n',
            [(0, [('a "quoted" word, and a second line', 1.0)]), (2, [("None", 1.0)])],
        ),
        (
            "CLIP-Dissect",  # index column, capitals, blanks, an unknown column
            "Unnamed: 0, Layer ,UNIT,Description,Similarity,votes\n0,l,2,red,.5,9\n",
            [(2, [("red", 1.0)])],
        ),
        (
            "MILANNOTATIONS",  # index column without a name, tabs, cells beyond the last column
            "\tunit\tsummary\t\n0\t2\ta, b\t\t\n1\t2\tc\t\n",
            [(2, [("a, b", 1.0)]), (2, [("c", 1.0)])],
        ),
        (
            "Linear Explanations",  # underscores, semicolons, counted from 1
            "Unit;Val_Correlation;weight_1;concept_1\n0;.2;1;a;\n",
            [(0, [("a", 1.0)])],
        ),
    ],
)
def test_variants_of_the_formats(tmp_path, name, content, expected):
    result = _read(tmp_path, content)
    assert result.format == name
    assert result.skipped == ()
    assert [
        (e.unit, [(term.text, term.weight) for term in e.terms]) for e in result.explanations
    ] == expected


def test_what_is_changed_is_reported(tmp_path):
    result = _read(tmp_path, 'neuron id\tlabel 1\tlabel 2\n0\t"""a b"""\t\n2\tc\td\n')
    assert result.notes == (
        "columns are separated by tabs",
        "quotation marks around a text removed (1 time)",
        "empty label left out (1 time)",
    )
    content = "unit,description,similarity\n0,a,nan\n2,b,0.5\n3,,0.1\n3,nan,0.1\n"
    result = _read(tmp_path, content)
    assert [e.score for e in result.explanations] == [None, 0.5]
    assert result.notes == ("score without a number left out (1 time)",)
    assert result.summary().splitlines() == [
        "file.csv: CLIP-Dissect",
        "2 explanations of 2 neurons, 2 distinct concepts",
        "the file names no layer for 2 of them",
        "score without a number left out (1 time)",
        "2 rows skipped: column 'description' is empty (lines 4, 5; found 'nan')",
    ]


NUMBERED = "unit,category,label,score\n{},part,body,0.04\n"


@pytest.mark.parametrize(
    ("content", "options", "unit", "note"),
    [
        (NUMBERED.format(1), {}, 0, "units are counted from 1 in the file and from 0 here"),
        (NUMBERED.format(9), {}, 8, "the lowest unit is 9; pass first_unit=0 if"),
        (NUMBERED.format(0), {}, 0, "counted from 0, unlike in the published files"),
        (NUMBERED.format(9), {"first_unit": 0}, 9, None),
        (NUMBERED.format(9), {"first_unit": 1}, 8, "units are counted from 1"),
        ("unit,description\n1,a\n", {}, 1, "pass first_unit=1 if the file counts from 1"),
        ("unit,description\n1,a\n", {"first_unit": 1}, 0, "units are counted from 1"),
        ("unit,description\n4,a\n", {}, 4, None),
    ],
)
def test_numbering_of_units(tmp_path, content, options, unit, note):
    result = _read(tmp_path, content, **options)
    assert [e.unit for e in result.explanations] == [unit]
    told = [line for line in result.notes if "count" in line]
    assert len(told) == (note is not None)
    assert note is None or note in told[0]


def test_numbering_that_cannot_be(tmp_path):
    with pytest.raises(ExplanationFileError, match=r"first_unit: found 1 and a unit 0 in the file"):
        _read(tmp_path, "unit,description\n0,a\n", first_unit=1)
    with pytest.raises(ExplanationFileError, match=r"first_unit: found 2, expected 0 or 1"):
        _read(tmp_path, "unit,description\n0,a\n", first_unit=2)


def test_a_layer_is_filled_in(tmp_path):
    content = "layer,unit,description\n,0,a\nconv1,0,b\nnan,3,c\n"
    result = _read(tmp_path, content, layer="layer4")
    assert [e.layer for e in result.explanations] == ["layer4", "conv1", "layer4"]
    assert "the layer 'layer4' was filled in for 2 explanations" in result.notes
    assert "2 layers: layer4 (2), conv1 (1)" in result.summary()
    result = _read(tmp_path, "layer,unit,description\nconv1,0,b\n", layer="layer4")
    assert result.notes == ("the layer 'layer4' was not needed: the file names its layers",)


def test_bad_rows_are_left_out_with_reasons(tmp_path):
    result = _read(
        tmp_path,
        "layer,unit,description,similarity\n"
        'a,0,"fine, on\ntwo lines",0.5\n'
        "a,x,bad unit,0.5\n"
        "a,-1,bad unit,0.5\n"
        "a,1.5,bad unit,0.5\n"
        "a,,bad unit,0.5\n"
        "a,2, ,0.5\n"
        "a,3,bad score,high\n"
        'a,3,bad score,"0,5"\n'
        "a,4,infinite,inf\n"
        "\n"
        "a,5\n"
        "a,0,twice,0.1\n"
        "b,0,other layer,0.1\n",
    )
    assert _flat(result.explanations) == [
        ("a", 0, ["fine, on two lines"], 0.5),
        ("b", 0, ["other layer"], 0.1),
    ]
    whole = "column 'unit' holds no whole number from 0"
    finite = "column 'similarity' holds no finite number"
    assert [(row.line, row.reason, row.found) for row in result.skipped] == [
        (4, whole, "x"),
        (5, whole, "-1"),
        (6, whole, "1.5"),
        (7, whole, ""),
        (8, "column 'description' is empty", ""),
        (9, finite, "high"),
        (10, f"{finite} (decimals are written with a point)", "0,5"),
        (11, finite, "inf"),
        (13, "there are not 4 cells, one for every column name", "2 cells"),
        (14, "the neuron has an explanation already", "unit 0 of a"),
    ]
    lines = result.summary().splitlines()
    assert f"4 rows skipped: {whole} (lines 4, 5, 6, 7; found 'x', '-1', '1.5')" in lines
    assert f"2 rows skipped: {finite} (lines 9, 11; found 'high', 'inf')" in lines
    assert "1 row skipped: column 'description' is empty (line 8)" in lines


def test_many_rows_skipped_are_one_line(tmp_path):
    rows = "".join(f"{unit},{'' if unit % 2 else 'a'}\n" for unit in range(100))
    summary = _read(tmp_path, "unit,description\n" + rows).summary()
    reason = "50 rows skipped: column 'description' is empty (lines 3, 5, 7, 9, 11 and 45 more)"
    assert summary.splitlines()[-1] == reason


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found an empty file"),
        (b"\xef\xbb\xbf \n", "found an empty file"),
        (b"a,b\n1,2\n", "found the columns a, b, expected those of one of: Linear"),
        (b"unit,description\n", "it has no rows"),
        (b"unit,description\nx,y\n", r"no whole number from 0 \(line 2; found 'x'\)"),
        (b"unit,description\n1,ok\n2,caf\xe9\n", "on line 3 that is not UTF-8"),
        (b'unit,description\n1,"' + b"x" * 200_000, "found what is no table on line 2"),
        (b"unit,unit,description\n", "'unit' twice"),
        (b"\xff\xfe\x00unit", "not UTF-8"),
        (b"{", "broken JSON"),
        (b"[1]", "JSON of another kind"),
        (b'{"format": "neuron-jury-explanations", "version": 2}', "found version 2"),
        (b'{"format": "neuron-jury-explanations", "version": 1}', 'no list "explanations"'),
        (
            b'{"format": "neuron-jury-explanations", "version": 1, "explanations": [{"unit": 1}]}',
            r'"terms" is no list with at least one term \(entry 1; found .null.\)',
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
    with pytest.raises(ExplanationFileError, match="found a folder"):
        read_explanations(tmp_path)
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


def test_a_plain_table_of_ours(tmp_path):
    result = _read(tmp_path, "unit,text\n4,a cat\n5,a dog\n4,a bird\n")
    assert result.format == "Neuron Jury"
    assert _flat(result.explanations) == [(None, 4, ["a cat"], None), (None, 5, ["a dog"], None)]
    assert [(row.line, row.reason) for row in result.skipped] == [
        (4, "the neuron has this explanation already")
    ]
    result = _read(
        tmp_path,
        "unit;alternative;term;text;weight;score\n"
        "4;0;1;b;2;.5\n4;0;0;a;-1;.5\n4;1;0;c;1;.2\n4;0;1;d;1;.5\n4;0;2;e;3;.6\n4;0;3;;1;.5\n",
    )
    assert result.explanations == (
        TextExplanation(
            4, (TextTerm("a", -1.0), TextTerm("b", 2.0), TextTerm("e", 3.0)), score=0.5
        ),
        TextExplanation(4, (TextTerm("c"),), alternative=1, score=0.2),
    )
    assert [(row.line, row.reason) for row in result.skipped] == [
        (5, "the neuron has this term 1 already"),
        (7, "column 'text' is empty"),
    ]
    assert "bias or score differ from those of the explanation's first row" in result.notes[1]


@pytest.mark.parametrize(
    ("entry", "reason", "found"),
    [
        (7, "it is no object with unit and terms", "7"),
        ({"unit": 1, "terms": []}, '"terms" is no list with at least one term', "[]"),
        ({"unit": 1, "terms": [{"text": " "}]}, 'a term has no "text"', '{"text": " "}'),
        ({"unit": 1, "terms": ["a"]}, 'a term has no "text"', '"a"'),
        ({"terms": [{"text": "a"}]}, '"unit" is no whole number from 0', "null"),
        ({"unit": True, "terms": [{"text": "a"}]}, '"unit" is no whole number from 0', "true"),
        (
            {"unit": 1, "terms": [{"text": "a", "weight": "2"}]},
            '"weight" is no finite number',
            '"2"',
        ),
        (
            {"unit": 1, "terms": [{"text": "a"}], "score": float("nan")},
            '"score" is no finite number',
            "NaN",
        ),
        ({"unit": 1, "terms": [{"text": "a"}], "layer": 4}, '"layer" is no text', "4"),
        (
            {"unit": 0, "terms": [{"text": "again"}]},
            "the neuron has this explanation already",
            "unit 0",
        ),
    ],
)
def test_bad_entries_of_our_json(tmp_path, entry, reason, found):
    good = {"unit": 0, "terms": [{"text": "a", "weight": 2}]}
    document = {"format": "neuron-jury-explanations", "version": 1, "explanations": [good, entry]}
    result = _read(tmp_path, json.dumps(document))
    assert result.explanations == (TextExplanation(0, (TextTerm("a", 2.0),)),)
    assert [(row.line, row.reason, row.found) for row in result.skipped] == [(2, reason, found)]
    last = result.summary().splitlines()[-1]
    assert last == f"1 entry skipped: {reason} (entry 2; found {found!r})"


TEXTS_OF_CONCEPTS = ["dog", "Salt and Pepper", "snow (deep)"]
FORMULA = Formula((Literal(0), Literal(2, True), Literal(1)), ("and", "or"))


def test_writing_what_explainers_return(tmp_path):
    explanations = [
        Explanation(0, (Term(1, 2.5), Term(0, -1.0)), 0.5, 0.25),
        Explanation(1, ()),
        Explanation(2, (), score=0.75, formula=FORMULA),
        Explanation(3, (), bias=4.0),
    ]
    converted, silent = to_text_explanations(explanations, TEXTS_OF_CONCEPTS, layer="fc")
    assert silent == [1, 3]
    assert converted == [
        TextExplanation(
            0, (TextTerm("Salt and Pepper", 2.5), TextTerm("dog", -1.0)), "fc", 0, 0.5, 0.25
        ),
        TextExplanation(
            2, (TextTerm('(dog AND NOT "snow (deep)") OR "Salt and Pepper"'),), "fc", score=0.75
        ),
    ]
    for suffix in (".csv", ".json"):
        path = tmp_path / f"file{suffix}"
        write_explanations(path, converted)
        read = read_explanations(path).explanations
        assert read == tuple(converted)
        assert match_concepts(read, TEXTS_OF_CONCEPTS) == (explanations[::2], [])
    with pytest.raises(InputError, match="texts: found 1 texts, expected one for concept 1"):
        to_text_explanations(explanations[:1], ["dog"])
    with pytest.raises(InputError, match="texts: found 2 texts, expected one for concept 2"):
        to_text_explanations(explanations, ["dog", "b"])


def test_a_text_that_only_looks_like_a_formula_is_unmatched():
    unknown = TextExplanation(0, (TextTerm("dog AND unicorn"),))
    weighted = TextExplanation(0, (TextTerm("dog OR snow", 2.0),))
    matched, unmatched = match_concepts([unknown, weighted], ["dog", "snow"])
    assert matched == []
    assert unmatched == [(unknown, "dog AND unicorn"), (weighted, "dog OR snow")]


def test_matching_concepts():
    explanations = [
        TextExplanation(0, (TextTerm(" Lab  Coat", 2.0), TextTerm("dog")), bias=0.5, score=0.1),
        TextExplanation(1, (TextTerm("dog"), TextTerm("unicorn"))),
    ]
    matched, unmatched = match_concepts(explanations, ["dog", "lab coat"])
    assert matched == [Explanation(0, (Term(1, 2.0), Term(0, 1.0)), 0.5, 0.1)]
    assert unmatched == [(explanations[1], "unicorn")]
