"""Formulas: truth tables, probabilities, and a text that is read back."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neuron_eval.explanations import Explanation, Term, predicted_activations
from neuron_eval.formulas import Formula, Literal, parse_formula
from neuron_eval.validation import InputError

TEXTS = ["tabby cat", "snow", "grass", "salt and pepper", 'a "b" \\ c', " NOT ", "(", "", "é OR\n"]
LITERALS = st.builds(Literal, st.integers(0, len(TEXTS) - 1), st.booleans())


@st.composite
def formulas(draw, literals=LITERALS):
    chain = draw(st.lists(literals, min_size=1, max_size=5))
    joins = st.lists(
        st.sampled_from(["and", "or"]), min_size=len(chain) - 1, max_size=len(chain) - 1
    )
    return Formula(tuple(chain), tuple(draw(joins)))


def _python(formula):
    """Return the formula as an expression that Python evaluates from left to right."""
    names = [f"{'not ' * literal.negated}c{literal.concept}" for literal in formula.literals]
    expression = f"({names[0]})"
    for operator, name in zip(formula.operators, names[1:], strict=True):
        expression = f"({expression} {operator} ({name}))"
    return expression


@given(formulas())
def test_the_truth_table_is_that_of_python(formula):
    rows = np.array(list(product([0.0, 1.0], repeat=4)))
    rows = np.hstack([rows, rows[::-1], rows[:, :1]])
    expected = [
        eval(_python(formula), {f"c{k}": bool(value) for k, value in enumerate(row)})  # noqa: S307
        for row in rows
    ]
    assert formula.evaluate(rows).tolist() == [float(value) for value in expected]
    assert formula.evaluate(rows > 0).tolist() == [float(value) for value in expected]


CONCEPTS = hnp.arrays(np.float64, (7, len(TEXTS)), elements=st.floats(0, 1))


@given(formulas(), CONCEPTS)
def test_values_are_probabilities(formula, concepts):
    values = formula.evaluate(concepts)
    assert values.dtype == np.float64
    assert np.all((values >= 0) & (values <= 1))


@given(formulas(), CONCEPTS)
def test_probabilities_are_of_independent_literals(formula, concepts):
    """The definition, multiplied out over all states of the literals."""
    p = [
        1 - concepts[:, literal.concept] if literal.negated else concepts[:, literal.concept]
        for literal in formula.literals
    ]
    expected = np.zeros(len(concepts))
    for state in product([False, True], repeat=len(p)):
        holds = state[0]
        for operator, value in zip(formula.operators, state[1:], strict=True):
            holds = (holds and value) if operator == "and" else (holds or value)
        if holds:
            chances = [q if value else 1 - q for q, value in zip(p, state, strict=True)]
            expected += np.prod(chances, axis=0)
    np.testing.assert_allclose(formula.evaluate(concepts), expected, atol=1e-12)


@given(st.lists(LITERALS, min_size=1, max_size=4), CONCEPTS)
def test_de_morgan(literals, concepts):
    joins = len(literals) - 1
    conjunction = Formula(tuple(literals), ("and",) * joins)
    negations = tuple(Literal(each.concept, not each.negated) for each in literals)
    disjunction = Formula(negations, ("or",) * joins)
    for values in (np.round(concepts), concepts):
        np.testing.assert_allclose(
            conjunction.evaluate(values), 1 - disjunction.evaluate(values), atol=1e-12
        )


@given(formulas())
def test_the_text_is_read_back(formula):
    assert parse_formula(formula.text(TEXTS), TEXTS) == formula


@given(
    st.lists(st.text(min_size=0, max_size=12), min_size=3, max_size=3, unique=True),
    formulas(st.builds(Literal, st.integers(0, 2), st.booleans())),
)
def test_any_texts_are_read_back(texts, formula):
    assert parse_formula(formula.text(texts), texts) == formula


def test_texts_say_what_is_evaluated_first():
    cat, snow, grass, spice = Literal(0), Literal(1, True), Literal(2), Literal(3)
    assert Formula((cat,)).text(TEXTS) == "tabby cat"
    assert Formula((snow,)).text(TEXTS) == "NOT snow"
    mixed = Formula((cat, snow, grass, spice), ("and", "or", "and"))
    assert mixed.text(TEXTS) == '((tabby cat AND NOT snow) OR grass) AND "salt and pepper"'
    same = Formula((cat, snow, grass), ("or", "or"))
    assert same.text(TEXTS) == "tabby cat OR NOT snow OR grass"
    assert mixed.length == 4


def test_other_ways_of_writing_are_read():
    expected = Formula((Literal(0), Literal(1, True), Literal(2)), ("and", "or"))
    for text in (
        '(tabby cat AND NOT snow) OR "grass"',
        "( tabby   cat AND\nNOT snow )OR grass",
        "((tabby cat) AND NOT snow) OR grass",
        "((tabby cat AND NOT snow) OR grass)",
    ):
        assert parse_formula(text, TEXTS) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found the end in '', expected a concept"),
        ("dog", "found 'dog' in 'dog', expected the text of a concept"),
        ("Tabby cat", "found 'Tabby cat'"),
        ("snow AND grass OR tabby cat", "found AND beside OR .* expected parentheses"),
        ("snow AND (grass OR tabby cat)", "so a group comes first"),
        ("NOT (snow)", "so a group comes first"),
        ("NOT NOT snow", "expected a concept"),
        ("snow AND", "found the end"),
        ("(snow", "not closed"),
        ("snow)", r"found '\)'"),
        ('snow "grass"', "found 'grass' .* expected AND, OR or the end"),
        ('"snow', "expected a closing quotation mark"),
        ("snow AND twice", "the text of two concepts"),
    ],
)
def test_what_is_no_formula(text, message):
    with pytest.raises(InputError, match=message):
        parse_formula(text, [*TEXTS, "twice", "twice"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Formula(()), "found 0 literals and 0 operators"),
        (lambda: Formula((Literal(0), Literal(1))), "found 2 literals and 0 operators"),
        (lambda: Formula((Literal(0), Literal(1)), ("xor",)), "found operator 'xor'"),
        (lambda: Formula((Literal(-1),)), "found concept -1"),
        (lambda: Formula((Literal(2),)).text(["a", "b"]), "texts: found 2 texts"),
        (lambda: Formula((Literal(2),)).evaluate([[0.0, 1.0]]), "found concept 2, expected 0 to 1"),
        (lambda: Formula((Literal(0),)).evaluate([[2.0]]), r"expected a value in \[0, 1\]"),
        (
            lambda: Explanation(4, (Term(0),), formula=Formula((Literal(0),))),
            "found 1 terms and a formula for unit 4",
        ),
    ],
)
def test_bad_formulas(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_formulas_predict_activations():
    concepts = np.random.default_rng(0).random((20, 3))
    before = concepts.copy()
    formula = Formula((Literal(0), Literal(2, True)), ("or",))
    explanations = [
        Explanation(0, (Term(1, 2.0),), 0.5),
        Explanation(1, (), 0.25, formula=formula),
        Explanation(2, (), 3.0),
    ]
    predicted = predicted_activations(explanations, concepts)
    np.testing.assert_allclose(predicted[:, 0], 0.5 + 2 * concepts[:, 1])
    a, c = concepts[:, 0], 1 - concepts[:, 2]
    np.testing.assert_allclose(predicted[:, 1], 0.25 + a + c - a * c)
    np.testing.assert_array_equal(predicted[:, 2], 3.0)
    np.testing.assert_array_equal(concepts, before)
    with pytest.raises(InputError, match="found concept 2"):
        predicted_activations(explanations[1:2], concepts[:, :2])
