"""One estimate run: ratings out of the database, through the science, scores back into it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet

from annotation import science
from annotation.models import (
    AssignmentStatus,
    ConceptMatrix,
    ConceptMatrixRole,
    Estimate,
    EstimateRun,
    Explanation,
    MethodEstimate,
    PairSample,
    Rating,
    RatingValue,
    Study,
)
from annotation.models import Draw as DrawnInput
from annotation.services.datasets import concept_matrix_register
from annotation.services.sampling import columns_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from annotation.science.sampling import Draw

#: From an explanation's key to its score and its reference score.
Scores = dict[int, tuple[science.ExplanationScore, float | None]]
_VOTE = ("item__concept_id", "item__probe_input__index", "rater_id", "value")
BATCH = 500
VOTES = {RatingValue.PRESENT: 1.0, RatingValue.ABSENT: 0.0, RatingValue.CANNOT_TELL: None}


@dataclass(frozen=True)
class ScoredStudy:
    """Everything that a run found, not yet in the database."""

    n_ratings: int
    estimator: str = ""
    scores: Scores = field(default_factory=dict)
    methods: list[science.MethodScore] = field(default_factory=list)
    reference_means: dict[int, float] = field(default_factory=dict)
    diagnostics: dict[str, Any] = field(default_factory=dict)
    sanity_checks: list[dict[str, Any]] = field(default_factory=list)
    aggregated: science.Aggregated | None = None


class _Arrays:
    """Columns of a study's files, each file opened once."""

    def __init__(self, study: Study, *, verify: bool) -> None:
        self._verify = verify
        self._matrices: dict[int, NDArray[np.floating[Any]]] = {}
        self._prior = science.array_load(study.concept_prior, verify=verify)
        self._prior_columns = columns_of(study.concept_prior)
        self._reference = (
            None if study.reference is None else science.array_load(study.reference, verify=verify)
        )
        self._reference_columns = {} if study.reference is None else columns_of(study.reference)

    def activation(self, sample: PairSample | Explanation) -> "NDArray[np.floating[Any]]":
        matrix = sample.neuron.activations
        if matrix.pk not in self._matrices:
            self._matrices[matrix.pk] = science.array_load(matrix, verify=self._verify)
        return self._matrices[matrix.pk][:, sample.neuron.unit]

    def prior(self, concept: int) -> "NDArray[np.floating[Any]]":
        return self._prior[:, self._prior_columns[concept]]

    def reference(self, concepts: Iterable[int]) -> "list[NDArray[np.floating[Any]]] | None":
        """Reference labels of all the concepts, or None where one of them has none."""
        columns = [self._reference_columns.get(concept) for concept in concepts]
        if self._reference is None or None in columns:
            return None
        return [self._reference[:, column] for column in columns]


#: Told what is being done and how much of the run is done, from 0 to 1.
Report = Callable[[str, float], None]


def _unreported(_stage: str, _progress: float) -> None:
    """Report to nobody."""


def _reported(explanations: list[Explanation], report: Report) -> Iterator[Explanation]:
    """Go through the explanations, and report how many are done: from 60 to 90 percent."""
    for number, explanation in enumerate(explanations):
        share = number / len(explanations)
        report(f"scoring explanation {number + 1} of {len(explanations)}", 0.6 + 0.3 * share)
        yield explanation


def study_score(run: EstimateRun, report: Report = _unreported) -> ScoredStudy:
    """Aggregate the ratings that count and score every explanation that has some.

    Parameters
    ----------
    run : EstimateRun
        Which study, which aggregation, seed and level.
    report : callable, optional
        Told how far the run is, as often as there is something to tell.

    Returns
    -------
    ScoredStudy
        An explanation without a vote on one of its concepts has no score: it waits for ratings.

    Raises
    ------
    ArrayProblem
        When a file cannot be read or is not the one that was registered.
    EstimateFailed
        When the science refuses what is stored.
    """
    study = Study.objects.select_related("concept_prior", "reference").get(pk=run.study_id)
    explanations = list(
        study.explanations.select_related("neuron__activations", "method").prefetch_related(
            "terms__concept"
        )
    )
    ratings = counted_ratings(study)
    if not any(row.value is not None for row in ratings):
        return ScoredStudy(
            n_ratings=len(ratings), diagnostics={"n_waiting": len(explanations), "undefined": []}
        )
    # the checksum of a large file takes longer than a live run may
    report("reading the matrices", 0.02)
    arrays = _Arrays(study, verify=not run.live)
    samples = _samples(study)
    report(f"aggregating {len(ratings)} ratings", 0.1)
    aggregated = science.aggregate(
        run.aggregation,
        ratings,
        {concept: arrays.prior(concept) for concept in samples},
        {
            concept: [arrays.activation(one) for one in {s.neuron_id: s for s in own}.values()]
            for concept, own in samples.items()
        },
        seed=run.seed,
        gold=gold_ratings(study),
    )
    rated = _rated_draws(samples, arrays, aggregated)
    scores, undefined = _explanation_scores(
        run, study, _reported(explanations, report), arrays, rated, aggregated
    )
    report("comparing the methods", 0.9)
    methods, notes = science.methods_compare(
        _comparison_rows(explanations, scores), level=run.level, seed=run.seed
    )
    return ScoredStudy(
        n_ratings=len(ratings),
        estimator=aggregated.estimator(study.estimator),
        scores=scores,
        methods=methods,
        reference_means=_reference_means(explanations, scores),
        diagnostics={
            "n_waiting": len(explanations) - len(scores) - len(undefined),
            "undefined": undefined,
            "leaderboard_warnings": notes,
            **aggregated.diagnostics,
        },
        sanity_checks=(
            []
            if run.live
            else science.sanity_check(
                _confirmed_pairs(explanations, scores, arrays, rated, aggregated), seed=run.seed
            )
        ),
        aggregated=aggregated,
    )


def study_scores_write(run: EstimateRun, scored: ScoredStudy) -> None:
    """Write what a run found into the database, inside the caller's transaction.

    Parameters
    ----------
    run : EstimateRun
        The run.
    scored : ScoredStudy
        From `study_score`.
    """
    Estimate.objects.bulk_create(
        Estimate(
            run=run,
            explanation_id=explanation,
            score=score.score,
            # quantiles of a skewed mixture may miss its mean by a hair
            lower=min(score.lower, score.score),
            upper=max(score.upper, score.score),
            standard_error=score.standard_error,
            n_effective=score.n_effective,
            n_inputs_rated=score.n_inputs_rated,
            reference_score=reference,
            warnings=score.warnings,
        )
        for explanation, (score, reference) in scored.scores.items()
        if score.score is not None and score.standard_error is not None
    )
    MethodEstimate.objects.bulk_create(
        MethodEstimate(
            run=run,
            method_id=row.method,
            n_neurons=row.n_neurons,
            mean_score=row.mean_score,
            lower=min(row.lower, row.mean_score),
            upper=max(row.upper, row.mean_score),
            rank=row.rank,
            rank_lower=row.rank_lower,
            rank_upper=row.rank_upper,
            probability_best=row.probability_best,
            reference_mean=scored.reference_means.get(row.method),
        )
        for row in scored.methods
    )
    if scored.aggregated is not None and scored.aggregated.predictions is not None:
        _posterior_write(run, scored.aggregated)


def counted_ratings(study: Study) -> list[science.RatingRow]:
    """Read the ratings that count: those of submitted assignments, gold items left out.

    Parameters
    ----------
    study : Study
        Any.

    Returns
    -------
    list of RatingRow
        In the order of saving.
    """
    rows = _submitted(study).filter(item__gold_value="")
    return [
        science.RatingRow(concept, index, rater, VOTES[RatingValue(value)])
        for concept, index, rater, value in rows.values_list(*_VOTE)
    ]


def gold_ratings(study: Study) -> list[science.GoldRow]:
    """Read the answers to gold items of submitted assignments: they tell about the raters.

    Parameters
    ----------
    study : Study
        Any.

    Returns
    -------
    list of GoldRow
        In the order of saving.
    """
    rows = _submitted(study).exclude(item__gold_value="")
    return [
        science.GoldRow(
            concept, index, rater, VOTES[RatingValue(value)], float(gold == RatingValue.PRESENT)
        )
        for concept, index, rater, value, gold in rows.values_list(*_VOTE, "item__gold_value")
    ]


def _submitted(study: Study) -> "QuerySet[Rating]":
    return Rating.objects.filter(
        item__study=study, assignment__status=AssignmentStatus.SUBMITTED
    ).order_by("pk")


def _samples(study: Study) -> dict[int, list[PairSample]]:
    """List the pair samples of a study by concept, round after round."""
    samples: dict[int, list[PairSample]] = defaultdict(list)
    rows = study.pair_samples.select_related("neuron__activations", "concept", "round")
    for sample in rows.order_by("round__number", "neuron", "concept"):
        samples[sample.concept_id].append(sample)
    return dict(samples)


def _rated_draws(
    samples: dict[int, list[PairSample]], arrays: _Arrays, aggregated: science.Aggregated
) -> "dict[int, Draw]":
    """Draw every pair again from its seed, pool per concept and round, keep what has a vote.

    What an adaptive round drew followed from the ratings of its moment; it is read, not repeated.
    """
    stored = _stored_draws(samples)
    rated: dict[int, Draw] = {}
    for concept, voted in aggregated.voted.items():
        rounds: dict[int, list[Draw]] = defaultdict(list)
        for sample in samples[concept]:
            what = f"neuron {sample.neuron}, concept {sample.concept.text!r}"
            activation = arrays.activation(sample)
            if sample.sampling_design == science.ADAPTIVE:
                indices, probabilities = stored[sample.pk]
                draw = science.stored_draw(
                    design=sample.sampling_design,
                    indices=indices,
                    probabilities=probabilities,
                    n_inputs=len(activation),
                    seed=sample.seed,
                    parameters=sample.parameters,
                    what=what,
                )
            else:
                draw = science.draw_pair(
                    design=sample.sampling_design,
                    parameters=sample.parameters,
                    activation=activation,
                    prior=arrays.prior(concept),
                    n_draws=sample.n_draws,
                    seed=sample.seed,
                    what=what,
                )
            rounds[sample.round.number].append(draw)
        joined = science.pooled_rated(list(rounds.values()), voted)
        if joined is not None:
            rated[concept] = joined
    return rated


def _stored_draws(
    samples: dict[int, list[PairSample]],
) -> dict[int, tuple[list[int], list[float]]]:
    """Read the inputs and probabilities of adaptive samples, in order of drawing."""
    ids = [
        sample.pk
        for own in samples.values()
        for sample in own
        if sample.sampling_design == science.ADAPTIVE
    ]
    stored: dict[int, tuple[list[int], list[float]]] = {pk: ([], []) for pk in ids}
    for start in range(0, len(ids), BATCH):
        rows = DrawnInput.objects.filter(pair_sample__in=ids[start : start + BATCH])
        for sample, index, probability in rows.order_by("pair_sample", "position").values_list(
            "pair_sample_id", "probe_input__index", "probability"
        ):
            stored[sample][0].append(index)
            stored[sample][1].append(probability)
    return stored


def _explanation_scores(
    run: EstimateRun,
    study: Study,
    explanations: Iterable[Explanation],
    arrays: _Arrays,
    rated: "dict[int, Draw]",
    aggregated: science.Aggregated,
) -> tuple[Scores, list[dict[str, Any]]]:
    """Score what has votes on all its concepts; say of which the score is undefined, and why."""
    scores: Scores = {}
    undefined: list[dict[str, Any]] = []
    predictions = aggregated.predictions
    # methods often give a neuron the same explanation: it is one score
    known: dict[tuple[Any, ...], tuple[science.ExplanationScore, float | None]] = {}
    for explanation in explanations:
        terms = sorted(explanation.terms.all(), key=lambda term: term.concept_id)
        concepts = [term.concept_id for term in terms]
        if not all(concept in rated for concept in concepts):
            continue
        weights = [term.weight for term in terms]
        key = (explanation.neuron_id, *concepts, *weights)
        if key not in known:
            activation = arrays.activation(explanation)
            labels = arrays.reference(concepts)
            known[key] = (
                science.explanation_score(
                    activation,
                    weights,
                    [rated[concept] for concept in concepts],
                    [aggregated.labels[concept] for concept in concepts],
                    None if predictions is None else [predictions[concept] for concept in concepts],
                    estimator=aggregated.estimator(study.estimator),
                    level=run.level,
                    seed=run.seed,
                    what=f"{explanation.method} on neuron {explanation.neuron}",
                ),
                None if labels is None else science.reference_score(activation, weights, labels),
            )
        score, reference = known[key]
        if score.score is None or score.standard_error is None:
            undefined.append({"explanation": explanation.pk, "reasons": score.warnings})
        else:
            scores[explanation.pk] = (score, reference)
    return scores, undefined


def _comparison_rows(
    explanations: Iterable[Explanation],
    scores: Scores,
) -> list[tuple[int, int, str, float, float]]:
    rows = []
    for explanation in explanations:
        score = scores[explanation.pk][0] if explanation.pk in scores else None
        if score is None or score.score is None or score.standard_error is None:
            continue
        text = " + ".join(
            sorted(f"{term.weight!r} {term.concept_id}" for term in explanation.terms.all())
        )
        rows.append(
            (
                explanation.neuron_id,
                explanation.method_id,
                text,
                score.score,
                score.standard_error,
            )
        )
    return rows


def _confirmed_pairs(
    explanations: Iterable[Explanation],
    scores: Scores,
    arrays: _Arrays,
    rated: "dict[int, Draw]",
    aggregated: science.Aggregated,
) -> list[science.ConfirmedPair]:
    """Find each neuron's best explanation by one concept, where its interval lies above 0."""
    best: dict[int, tuple[float, Explanation, int]] = {}
    for explanation in explanations:
        terms = list(explanation.terms.all())
        if explanation.pk not in scores or len(terms) != 1 or terms[0].weight < 0:
            continue
        score = scores[explanation.pk][0]
        before = best.get(explanation.neuron_id)
        if score.score is None or score.lower <= 0 or (before and before[0] >= score.score):
            continue
        best[explanation.neuron_id] = (score.score, explanation, terms[0].concept_id)
    return [
        science.ConfirmedPair(
            name=f"neuron {explanation.neuron}",
            activation=arrays.activation(explanation),
            draw=rated[concept],
            labels=aggregated.labels[concept],
        )
        for _, explanation, concept in best.values()
    ]


def _reference_means(
    explanations: Iterable[Explanation],
    scores: Scores,
) -> dict[int, float]:
    """Mean reference score of each method whose every scored explanation has one."""
    known: dict[int, list[float | None]] = defaultdict(list)
    for explanation in explanations:
        if explanation.pk in scores:
            known[explanation.method_id].append(scores[explanation.pk][1])
    means = {}
    for method, values in known.items():
        numbers = [value for value in values if value is not None]
        if len(numbers) == len(values):
            means[method] = sum(numbers) / len(numbers)
    return means


def _posterior_write(run: EstimateRun, aggregated: science.Aggregated) -> None:
    study = run.study
    texts = dict(
        study.pair_samples.filter(concept__in=aggregated.labels).values_list(
            "concept_id", "concept__text"
        )
    )
    means, deviations = science.posterior_summary(list(aggregated.labels.values()))
    matrices: list[ConceptMatrix] = [
        concept_matrix_register(
            dataset=study.dataset,
            name=f"{study.slug}, run {run.public_id}",
            role=role,
            concepts=[texts[concept] for concept in aggregated.labels],
            values=values,
        )
        for role, values in (
            (ConceptMatrixRole.POSTERIOR_MEAN, means),
            (ConceptMatrixRole.POSTERIOR_SD, deviations),
        )
    ]
    EstimateRun.objects.filter(pk=run.pk).update(
        posterior_mean=matrices[0], posterior_sd=matrices[1]
    )
