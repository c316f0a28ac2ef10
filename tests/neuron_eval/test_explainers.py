"""Baseline explanation methods find planted concepts, all but the random one."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LinearRegression, orthogonal_mp
from sklearn.metrics import roc_auc_score

from neuron_eval import functional
from neuron_eval.binarize import AlreadyBinary, TopFraction
from neuron_eval.explainers import (
    EXPLAINERS,
    explain_best_auroc,
    explain_best_iou,
    explain_random_concept,
    explain_soft_wpmi,
    explain_sparse_linear,
)
from neuron_eval.explanations import Explanation, Term, predicted_activations
from neuron_eval.formulas import Formula, Literal
from neuron_eval.validation import InputError


@pytest.fixture
def planted():
    """Ten concepts of 10% each, one neuron for every concept, in a known order."""
    rng = np.random.default_rng(3)
    concepts = (rng.random((2000, 10)) < 0.1).astype(float)
    truth = rng.permutation(10)
    activations = concepts[:, truth] + 0.3 * rng.normal(size=(2000, 10))
    return activations, concepts, truth


@pytest.mark.parametrize("name", ["best_iou", "best_auroc", "wpmi", "soft_wpmi"])
def test_methods_find_the_planted_concept(planted, name):
    activations, concepts, truth = planted
    takes = name in ("best_iou", "wpmi")
    options = {"binarization": TopFraction(0.1)} if takes else {}
    explanations = EXPLAINERS[name](activations, concepts, **options)
    assert [e.unit for e in explanations] == list(range(10))
    assert [e.terms[0].concept for e in explanations] == truth.tolist()
    assert all(e.score is not None for e in explanations)


@pytest.mark.parametrize("name", sorted(EXPLAINERS))
def test_weights_stand_for_repetitions(planted, name):
    activations, concepts, _ = planted
    weights = np.random.default_rng(0).integers(0, 3, size=len(activations))
    weighted = EXPLAINERS[name](activations, concepts, weights=weights)
    repeated = EXPLAINERS[name](
        np.repeat(activations, weights, axis=0), np.repeat(concepts, weights, axis=0)
    )
    for one, other in zip(weighted, repeated, strict=True):
        assert [t.concept for t in one.terms] == [t.concept for t in other.terms]
        np.testing.assert_allclose(
            [t.weight for t in one.terms], [t.weight for t in other.terms], rtol=1e-9
        )
        assert (one.score is None) == (other.score is None)
        if one.score is not None:
            assert one.score == pytest.approx(other.score, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, {}) for name in sorted(set(EXPLAINERS) - {"random_concept"})]
    + [("best_auroc", {"max_length": 3}), ("best_iou", {"max_length": 3})],
)
def test_dead_neurons_and_empty_concepts_win_nothing(planted, name, options):
    activations, concepts, truth = planted
    activations[:, 4], concepts[:, truth[2]] = 0.7, 0.0
    explanations = EXPLAINERS[name](activations, concepts, **options)
    assert [e.unit for e in explanations] == list(range(10))
    dead = explanations.pop(4)
    assert (dead.terms, dead.formula, dead.score) == ((), None, None)
    for e in explanations:
        named = [literal.concept for literal in e.formula.literals] if e.formula else []
        assert truth[2] not in [*named, *(term.concept for term in e.terms)]


@pytest.mark.parametrize("name", sorted(set(EXPLAINERS) - {"random_concept"}))
def test_memory_and_company_change_nothing(planted, name):
    activations, concepts, _ = planted
    activations, concepts = activations[:300], concepts[:300]
    options = {"max_length": 2} if name in ("best_auroc", "best_iou") else {}
    expected = EXPLAINERS[name](activations, concepts, **options)
    thrifty = EXPLAINERS[name](activations, concepts, memory_budget=5000, **options)
    alone = EXPLAINERS[name](activations[:, 3:4], concepts, **options)[0]
    for one, other in zip([*expected, expected[3]], [*thrifty, alone], strict=True):
        assert [t.concept for t in one.terms] == [t.concept for t in other.terms]
        assert one.formula == other.formula
        assert one.score == pytest.approx(other.score, abs=1e-12)
    with pytest.raises(InputError, match="memory_budget: found 0"):
        EXPLAINERS[name](activations, concepts, memory_budget=0)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.int64, np.bool_])
@pytest.mark.parametrize("name", sorted(EXPLAINERS))
def test_types_of_numbers(planted, name, kind):
    """Every type is read as the numbers that it holds."""
    activations, concepts, _ = planted
    activations = (activations > 0.9).astype(kind) if kind is np.bool_ else activations.astype(kind)
    concepts = concepts.astype(kind)
    expected = EXPLAINERS[name](activations.astype(float), concepts.astype(float))
    for one, other in zip(EXPLAINERS[name](activations, concepts), expected, strict=True):
        assert [t.concept for t in one.terms] == [t.concept for t in other.terms]
        assert one.score == pytest.approx(other.score, abs=1e-12)


def test_sparse_linear_recovers_a_sum():
    rng = np.random.default_rng(1)
    concepts = rng.random((500, 8))
    concepts[:, 7] = 0.4
    activations = np.stack(
        [
            2.0 + 3 * concepts[:, 1] - 0.5 * concepts[:, 6],
            np.full(500, 5.0),
            concepts[:, 2] + 0.1 * rng.normal(size=500),
        ],
        axis=1,
    )
    exact, dead, noisy = explain_sparse_linear(activations, concepts)
    assert [t.concept for t in exact.terms] == [1, 6]
    np.testing.assert_allclose([t.weight for t in exact.terms], [3, -0.5], rtol=1e-10)
    assert exact.bias == pytest.approx(2.0)
    assert exact.score == pytest.approx(1.0)
    assert (dead.terms, dead.score) == ((), None)
    assert dead.bias == pytest.approx(5.0)
    assert noisy.terms[0].concept == 2
    assert len(noisy.terms) == 3
    predicted = predicted_activations([exact, dead, noisy], concepts)
    np.testing.assert_allclose(predicted[:, :2], activations[:, :2], atol=1e-10)
    assert noisy.score == pytest.approx(np.corrcoef(predicted[:, 2], activations[:, 2])[0, 1])


def test_sparse_linear_ends_where_concepts_repeat():
    column = np.random.default_rng(0).random((50, 1))
    [explanation] = explain_sparse_linear(column + 0.0, np.repeat(column, 3, axis=1))
    assert len(explanation.terms) == 1
    assert explanation.terms[0].weight == pytest.approx(1.0)
    with pytest.raises(InputError, match="max_terms"):
        explain_sparse_linear(column, column, max_terms=0)


def _standardized(matrix, weights):
    mean = np.average(matrix, axis=0, weights=weights)
    centred = (matrix - mean) * np.sqrt(weights)[:, None]
    return centred / np.linalg.norm(centred, axis=0)


@pytest.mark.parametrize("seed", range(4))
def test_sparse_linear_is_orthogonal_matching_pursuit(seed):
    rng = np.random.default_rng(seed)
    concepts = rng.random((200, 12)) ** 2
    concepts[:, 5] = 0.7 * concepts[:, 2] + 0.2
    activations = concepts @ rng.normal(size=(12, 4)) + rng.normal(size=(200, 4))
    weights = rng.integers(0, 4, size=200).astype(float) if seed % 2 else np.ones(200)
    found = explain_sparse_linear(activations, concepts, weights=weights, max_terms=4)
    c, a = _standardized(concepts, weights), _standardized(activations, weights)
    for neuron, explanation in enumerate(found):
        expected = orthogonal_mp(c, a[:, neuron], n_nonzero_coefs=4)
        if 5 in np.flatnonzero(expected):
            expected[2], expected[5] = expected[5], 0  # the same concept, scaled
        chosen = [term.concept for term in explanation.terms]
        assert sorted(chosen) == np.flatnonzero(expected).tolist()
        assert chosen == sorted(chosen, key=lambda j: -abs(expected[j]))
        fit = LinearRegression().fit(concepts[:, chosen], activations[:, neuron], weights)
        np.testing.assert_allclose([t.weight for t in explanation.terms], fit.coef_, rtol=1e-8)
        assert explanation.bias == pytest.approx(fit.intercept_, abs=1e-10)
        fitted = c @ expected
        assert explanation.score == pytest.approx(
            fitted @ a[:, neuron] / np.linalg.norm(fitted), abs=1e-12
        )


@pytest.mark.parametrize("seed", range(6))
def test_sparse_linear_without_negative_weights(seed):
    rng = np.random.default_rng(seed)
    concepts = rng.random((150, 9))
    concepts[:, 1] = np.clip(concepts[:, 0] + 0.3 * rng.random(150), 0, 1)
    activations = concepts @ rng.normal(size=(9, 5)) + 0.2 * rng.normal(size=(150, 5))
    weights = rng.integers(1, 4, size=150).astype(float)
    found = explain_sparse_linear(
        activations, concepts, weights=weights, max_terms=5, nonnegative=True
    )
    c, a = _standardized(concepts, weights), _standardized(activations, weights)
    for neuron, explanation in enumerate(found):
        support, left = [], a[:, neuron]
        for _ in range(5):
            gain = c.T @ left
            gain[support] = 0
            if gain.max() <= 1e-6:
                break
            support.append(int(gain.argmax()))
            fit = LinearRegression(positive=True, fit_intercept=False)
            own = fit.fit(c[:, support], a[:, neuron]).coef_
            left = a[:, neuron] - c[:, support] @ own
            support = [j for j, coefficient in zip(support, own, strict=True) if coefficient > 0]
        assert sorted(term.concept for term in explanation.terms) == sorted(support)
        assert all(term.weight > 0 for term in explanation.terms)
        fit = LinearRegression(positive=True)
        chosen = [term.concept for term in explanation.terms]
        fit.fit(concepts[:, chosen], activations[:, neuron], weights)
        np.testing.assert_allclose([t.weight for t in explanation.terms], fit.coef_, rtol=1e-6)
        assert explanation.bias == pytest.approx(fit.intercept_, abs=1e-8)


def test_sparse_linear_has_nothing_positive_to_say():
    concept = np.linspace(0, 1, 20)[:, None]
    [explanation] = explain_sparse_linear(-concept, concept, nonnegative=True)
    assert explanation == Explanation(0, (), pytest.approx(-0.5))


def test_random_concept_is_seeded_and_blind(planted):
    activations, concepts, _ = planted
    first = explain_random_concept(activations, concepts, seed=1)
    assert first == explain_random_concept(-activations, concepts, seed=1)
    assert first != explain_random_concept(activations, concepts, seed=2)


def test_prediction_refuses_unknown_concepts():
    explanation = Explanation(3, (Term(5),))
    with pytest.raises(InputError, match="unit 3 names concept 5, expected 0 to 1"):
        predicted_activations([explanation], [[0.0, 1.0]])


# Soft WPMI


def _soft_wpmi(row, concepts, top_k, p_start, p_end):
    """The published formula for a neuron without ties: sum of logarithms over its top inputs."""
    top = np.argsort(-row)[:top_k]
    p = p_start - np.arange(len(top)) / top_k * (p_start - p_end)
    return np.log(1 + p[:, None] * (concepts[top] - 1)).sum(axis=0)


@pytest.mark.parametrize(
    "options",
    [{}, {"top_k": 7, "p_start": 0.9, "p_end": 0.1, "lam": 0.3}, {"top_k": 300, "lam": 2.0}],
)
def test_soft_wpmi_is_the_published_formula(options):
    rng = np.random.default_rng(0)
    activations, concepts = rng.normal(size=(301, 6)), rng.random((301, 5)) ** 3
    top_k, lam = options.get("top_k", 100), options.get("lam", 1.0)
    ends = (options.get("p_start", 0.998), options.get("p_end", 0.97))
    sums = np.array([_soft_wpmi(row, concepts, top_k, *ends) for row in activations.T])
    expected = {
        "inputs": sums / top_k - lam * np.log(concepts.mean(axis=0)),
        "neurons": (sums - lam * np.log(np.exp(sums).mean(axis=0))) / top_k,
    }
    for concept_mean, scores in expected.items():
        found = explain_soft_wpmi(activations, concepts, concept_mean=concept_mean, **options)
        assert [e.terms[0].concept for e in found] == scores.argmax(axis=1).tolist()
        np.testing.assert_allclose([e.score for e in found], scores.max(axis=1), atol=1e-12)


def test_soft_wpmi_shares_ranks_among_ties():
    rng = np.random.default_rng(1)
    concepts = rng.random((60, 4))
    row = np.floor(np.linspace(0, 9.99, 60))[rng.permutation(60)]
    ranks = stats.rankdata(-row) - 1
    # Ten inputs are wanted of the two highest groups of six: four of the second are in.
    in_set, share = row >= 8, np.where(row == 9, 1.0, 4 / 6)
    ranks[row == 8] = np.mean([6, 7, 8, 9])
    p = 0.998 - ranks / 10 * (0.998 - 0.97)
    logs = (share[:, None] * np.log(1 + p[:, None] * (concepts - 1)))[in_set].sum(axis=0) / 10
    scores = logs - np.log(concepts.mean(axis=0))
    [found] = explain_soft_wpmi(row[:, None], concepts, top_k=10)
    assert found.terms[0].concept == scores.argmax()
    assert found.score == pytest.approx(scores.max(), abs=1e-12)


def test_soft_wpmi_takes_no_input_at_the_minimum():
    rng = np.random.default_rng(2)
    concepts = rng.random((200, 4))
    sparse = np.zeros((200, 1))
    sparse[:20, 0] = rng.random(20) + 1
    [found] = explain_soft_wpmi(sparse, concepts)
    p = 0.998 - np.arange(20) / 100 * (0.998 - 0.97)
    top = concepts[np.argsort(-sparse[:, 0])[:20]]
    scores = np.log(1 + p[:, None] * (top - 1)).mean(axis=0) - np.log(concepts.mean(axis=0))
    assert found.score == pytest.approx(scores.max(), abs=1e-12)


def test_soft_wpmi_over_neurons_leaves_dead_ones_out(planted):
    activations, concepts, _ = planted
    expected = explain_soft_wpmi(activations[:, :5], concepts, concept_mean="neurons")
    activations[:, 5:] = 1.0
    found = explain_soft_wpmi(activations, concepts, concept_mean="neurons")
    assert found[:5] == expected
    assert all(e.terms == () for e in found[5:])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 0}, "top_k: found 0"),
        ({"top_k": 2001}, "top_k: found 2001 with inputs of weight 2000"),
        ({"p_start": 1.0}, "p_start, p_end: found 1.0 and 0.97"),
        ({"p_end": 0.999}, "p_start, p_end: found 0.998 and 0.999"),
        ({"p_end": -0.1}, "p_start, p_end"),
        ({"lam": np.inf}, "lam: found inf"),
        ({"concept_mean": "median"}, "concept_mean: found 'median'"),
    ],
)
def test_soft_wpmi_refuses(planted, options, message):
    with pytest.raises(InputError, match=message):
        explain_soft_wpmi(*planted[:2], **options)


# Formulas


def _chains(n_concepts, max_length, operators=("and", "or", "not")):
    """All chains, shorter ones first, in the order of concepts, signs and operators."""
    signs = (False, True) if "not" in operators else (False,)
    joins = [join for join in operators if join != "not"]
    for length in range(1, max_length + 1):
        for concepts in product(range(n_concepts), repeat=length):
            if len(set(concepts)) < length:
                continue
            for negated in product(signs, repeat=length):
                literals = tuple(map(Literal, concepts, negated))
                for chosen in product(joins, repeat=length - 1):
                    yield Formula(literals, chosen)


def _best_formula(concepts, weights, score, operators, bounds=(0.0, 1.0), max_length=3):
    """Try every chain that has a plain concept and whose every step is new."""
    total, best = weights.sum(), None
    steps: set[Formula] = set()
    known: dict[int, set[bytes]] = {length: set() for length in range(1, max_length + 1)}
    scores: dict[bytes, float | None] = {}
    for formula in _chains(concepts.shape[1], max_length, operators):
        holds = formula.evaluate(concepts) > 0
        key, mass = holds.tobytes(), weights[holds].sum()
        if formula.length > 1:
            before = Formula(formula.literals[:-1], formula.operators[:-1])
            within = bounds[0] * total - 1e-9 <= mass <= bounds[1] * total + 1e-9
            repeats = any(key in known[length] for length in range(1, formula.length))
            repeats |= any(
                np.array_equal(Formula((literal,)).evaluate(concepts) > 0, holds)
                for literal in formula.literals
            )
            if before not in steps or not within or repeats or holds.all():
                continue
        steps.add(formula)
        if mass and not all(literal.negated for literal in formula.literals):
            known[formula.length].add(key)
            if key not in scores:
                scores[key] = score(holds)
            value = scores[key]
            if value is not None and (best is None or value > best[0] + 1e-11):
                best = (value, formula)
    return best


def _as_formula(explanation):
    if explanation.formula is not None:
        return explanation.formula
    return Formula((Literal(explanation.terms[0].concept),))


@pytest.mark.parametrize("seed", range(6))
def test_a_wide_beam_finds_the_best_auroc_of_all_formulas(seed):
    rng = np.random.default_rng(seed)
    concepts = (rng.random((30, 4)) < rng.uniform(0.1, 0.9, 4)).astype(float)
    activations = np.round(rng.normal(size=(30, 3)), seed % 3)
    weights = rng.integers(1, 4, size=30).astype(float) if seed % 2 else np.ones(30)
    operators = [("and", "or", "not"), ("or", "not"), ("and", "or")][seed % 3]
    # Without fractions given, single concepts are not bound.
    bounds = (50 / weights.sum(), 0.95) if seed % 2 else (0.0, 1.0)
    least = {} if seed % 2 else {"min_fraction": 0.0}
    found = explain_best_auroc(
        activations,
        concepts,
        weights=weights,
        max_length=3,
        beam_width=100_000,
        operators=operators,
        max_fraction=bounds[1],
        **least,
    )
    for row, explanation in zip(activations.T, found, strict=True):

        def score(holds, row=row):
            return None if holds.all() else roc_auc_score(holds, row, sample_weight=weights)

        value, formula = _best_formula(concepts, weights, score, operators, bounds)
        holds = _as_formula(explanation).evaluate(concepts) > 0
        assert explanation.score == pytest.approx(score(holds), abs=1e-12)
        if bounds == (0.0, 1.0):
            assert explanation.score == pytest.approx(value, abs=1e-12)
            assert _as_formula(explanation).length == formula.length
        else:  # the way to a formula is bound less than the formula itself
            assert explanation.score >= value - 1e-12
            if explanation.formula is not None:
                share = np.average(holds, weights=weights)
                assert bounds[0] - 1e-9 <= share <= bounds[1] + 1e-9


@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_finds_the_best_iou_of_all_formulas(seed):
    rng = np.random.default_rng(seed)
    concepts = (rng.random((30, 4)) < rng.uniform(0.1, 0.9, 4)).astype(float)
    active = rng.random((30, 3)) < 0.3
    weights = rng.integers(1, 4, size=30).astype(float) if seed % 2 else np.ones(30)
    operators = [("and", "or", "not"), ("and", "not"), ("or",), ("and", "or")][seed % 4]
    max_length = 4 if seed == 3 else 3
    found = explain_best_iou(
        active.astype(float),
        concepts,
        weights=weights,
        binarization=AlreadyBinary(),
        max_length=max_length,
        beam_width=100_000,
        operators=operators,
    )
    for row, explanation in zip(active.T, found, strict=True):

        def score(holds, row=row):
            return weights[holds & row].sum() / weights[holds | row].sum() or None

        value, formula = _best_formula(concepts, weights, score, operators, max_length=max_length)
        assert explanation.score == pytest.approx(value, abs=1e-12)
        assert _as_formula(explanation).length == formula.length
        assert score(_as_formula(explanation).evaluate(concepts) > 0) == pytest.approx(value)


@given(
    st.integers(0, 10_000),
    st.sampled_from(["best_auroc", "best_iou"]),
    st.integers(1, 5),
    st.booleans(),
)
@settings(max_examples=20, deadline=None)
def test_the_score_is_that_of_the_metric(seed, name, max_length, weighted):
    """And weights stand for repetitions, and no row order matters."""
    rng = np.random.default_rng(seed)
    activations = np.round(rng.normal(size=(120, 4)), rng.integers(0, 4))
    concepts = rng.random((120, 6))
    weights = rng.integers(0, 3, size=120) if weighted else np.ones(120, dtype=int)
    options = {"max_length": max_length, "beam_width": 3}
    if name == "best_auroc":
        options |= {"min_fraction": 0.05, "max_fraction": 0.6}
    explain = EXPLAINERS[name]
    metric = functional.inverse_auroc if name == "best_auroc" else functional.iou
    found = explain(activations, concepts, weights=weights, **options)
    shuffled = rng.permutation(np.repeat(np.arange(120), weights))
    repeated = explain(activations[shuffled], concepts[shuffled], **options)
    for neuron, (one, other) in enumerate(zip(found, repeated, strict=True)):
        if one.score is None:
            assert other.score is None
            continue
        holds = _as_formula(one).evaluate(concepts >= 0.5)[:, None]
        score = float(metric(activations[:, [neuron]], holds, weights=weights))
        assert one.score == pytest.approx(score, abs=1e-12)
        assert other.score == pytest.approx(score, abs=1e-12)
        assert _as_formula(one) == _as_formula(other)
        if name == "best_auroc":
            assert 0.05 - 1e-9 <= np.average(holds[:, 0], weights=weights) <= 0.6 + 1e-9


@pytest.mark.parametrize("name", ["best_auroc", "best_iou"])
def test_longer_formulas_score_no_less(planted, name):
    activations, concepts, _ = planted
    scores = [
        [e.score for e in EXPLAINERS[name](activations, concepts, max_length=length)]
        for length in (1, 2, 3)
    ]
    assert np.all(np.diff(scores, axis=0) >= 0)


PLANTED = {
    "(c7 OR c30) AND NOT c3": (((7, False), (30, False), (3, True)), ("or", "and")),
    "(c7 AND c30) OR c3": (((7, False), (30, False), (3, False)), ("and", "or")),
    "(c7 OR c30) AND c3": (((7, False), (30, False), (3, False)), ("or", "and")),
    "(c7 AND NOT c30) OR c3": (((7, False), (30, True), (3, False)), ("and", "or")),
    "c3 OR c7 OR c30": (((3, False), (7, False), (30, False)), ("or", "or")),
    "c3 AND c7 AND NOT c30": (((3, False), (7, False), (30, True)), ("and", "and")),
}


def test_planted_formulas_of_every_kind_are_found():
    """The search is told nothing of them, and a plain beam search misses the second and third."""
    rng = np.random.default_rng(5)
    concepts = (rng.random((6000, 40)) < rng.uniform(0.1, 0.3, 40)).astype(np.float32)
    concepts[:, [3, 7, 30]] = rng.random((6000, 3)) < 0.2
    formulas = [
        Formula(tuple(Literal(*literal) for literal in literals), operators)
        for literals, operators in PLANTED.values()
    ]
    holds = np.stack([formula.evaluate(concepts) for formula in formulas], axis=1)
    activations = holds + 0.2 * rng.normal(size=holds.shape)
    found = explain_best_auroc(activations, concepts, max_length=3)
    assert [explanation.formula for explanation in found] == formulas
    texts = [f"c{column}" for column in range(40)]
    assert [formula.text(texts) for formula in formulas] == list(PLANTED)
    exact = explain_best_iou(holds, concepts, max_length=3, binarization=AlreadyBinary())
    for explanation, formula in zip(exact, formulas, strict=True):
        if formula != formulas[1]:  # no part of it but c3 has a high IoU: the way to it is shut
            assert (explanation.formula, explanation.score) == (formula, 1.0)


def test_ties_go_to_the_shorter_and_the_lower():
    holds = np.repeat([True, False], [20, 60])
    half = np.resize([True, False], 80)
    rest = np.random.default_rng(0).random((80, 2)) < 0.3
    concepts = np.column_stack([rest[:, 0], half, holds & half, holds & half, rest[:, 1]])
    activations = (holds & half).astype(float)[:, None]
    [found] = explain_best_auroc(activations, concepts, max_length=3, min_fraction=0.0)
    assert found == Explanation(0, (Term(2),), score=1.0)
    # Without that concept, "holds AND half" says the same; of two concepts alike, the first.
    concepts = np.column_stack([rest[:, 0], holds, half, holds, half])
    [found] = explain_best_auroc(activations, concepts, max_length=3, min_fraction=0.0)
    assert found.formula == Formula((Literal(1), Literal(2)), ("and",))
    assert found.score == 1.0


def test_the_fraction_of_inputs_is_bound():
    rng = np.random.default_rng(1)
    concepts = rng.random((400, 12)) < 0.25
    activations = rng.normal(size=(400, 5))
    options = {"max_length": 3, "beam_width": 8}
    by_default = explain_best_auroc(activations, concepts, **options)
    free = explain_best_auroc(activations, concepts, min_fraction=0.0, max_fraction=1.0, **options)
    for bound, unbound in zip(by_default, free, strict=True):
        held = [_as_formula(e).evaluate(concepts).sum() for e in (bound, unbound)]
        assert 50 <= held[0] <= 200
        assert not 50 <= held[1] <= 200  # noise is explained best by what holds on few inputs
        assert unbound.score > bound.score
    nothing = explain_best_auroc(activations, concepts, min_fraction=0.9, max_fraction=0.95)
    assert all(e == Explanation(e.unit, ()) for e in nothing)
    concepts[:, 3] = activations[:, 0] > np.sort(activations[:, 0])[-4]
    assert explain_best_auroc(activations, concepts)[0].terms == (Term(3),)
    narrow = explain_best_auroc(activations, concepts, min_fraction=0.05)[0]
    assert narrow.terms != (Term(3),)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_length": 0}, "max_length: found 0"),
        ({"beam_width": 0}, "beam_width: found 0"),
        ({"operators": ("and", "xor")}, "operators: found 'xor'"),
        (
            {"operators": ("not",), "max_length": 2, "min_fraction": 0.1},
            "expected 'and' or 'or' to join",
        ),
        ({"min_fraction": -0.1}, "min_fraction, max_fraction: found -0.1 and 0.5"),
        ({"min_fraction": 0.3, "max_fraction": 0.2}, "min_fraction, max_fraction"),
        ({"max_length": 2}, "min_fraction: found None and inputs of weight 60"),
        ({"concept_threshold": 0.0}, "concept_threshold: found 0.0"),
    ],
)
def test_best_auroc_refuses(planted, options, message):
    activations, concepts, _ = planted
    with pytest.raises(InputError, match=message):
        explain_best_auroc(activations[:60], concepts[:60], **options)


def test_single_concepts_are_those_of_the_metrics(planted):
    activations, concepts, _ = planted
    graded = np.clip(concepts + 0.2 * np.random.default_rng(0).random(concepts.shape), 0, 1)
    for name, metric in (
        ("best_auroc", functional.inverse_auroc),
        ("best_iou", functional.iou),
        ("wpmi", functional.wpmi),
    ):
        scores = metric(activations, graded)
        found = EXPLAINERS[name](activations, graded)
        assert [e.terms[0].concept for e in found] == scores.argmax(dim=1).tolist()
        np.testing.assert_allclose([e.score for e in found], scores.amax(dim=1), atol=1e-12)
