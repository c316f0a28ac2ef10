"""What a further round of ratings would draw, ask and cost. Nothing here writes."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from annotation import science
from annotation.exceptions import InvalidInput, NothingToRate
from annotation.models import (
    Concept,
    Item,
    Neuron,
    Recruitment,
    RoundDesign,
    Study,
    StudyStatus,
)
from annotation.queries.money import cost_estimate, is_paid_channel, minor
from annotation.queries.rounds import USUAL_HALF_WIDTH, pairs_in_doubt, run_to_judge
from annotation.services.launch import SECONDS_AN_ITEM
from annotation.services.round_types import ChannelCost, ConceptRound, RoundPlan
from annotation.services.samples import PlannedPair, pair_seed, pairs_of, tasks_plan
from annotation.services.sampling import columns_of
from annotation.services.scoring import counted_ratings
from annotation.services.states import state_require

#: More draws a pair than this are a slip of the hand.
MAX_DRAWS = 10_000
#: A fit of the one-pair model and the plan from it take about this long, in seconds: a pair, and
#: for each of its inputs in addition.
SECONDS_A_PAIR = 0.25
SECONDS_AN_INPUT = 1e-5
NAMED = 5


@dataclass(frozen=True)
class _Drawn:
    """What was drawn for one concept."""

    pairs: list[PlannedPair]
    inputs: list[science.SampledInput]
    further: int | None = None


def round_plan(
    *,
    study: Study,
    design: str,
    n_draws: int,
    half_width: float | None = None,
    seed: int | None = None,
    most_seconds: float | None = None,
) -> RoundPlan:
    """Draw the inputs of a further round; write nothing.

    Parameters
    ----------
    study : Study
        Open or paused.
    design : str
        ``"adaptive"``: inputs where one more rating is expected to tell most, by models fitted to
        the ratings that count; or the study's own design, with another seed.
    n_draws : int
        For each (neuron, concept) pair, 1 to `MAX_DRAWS`.
    half_width : float, optional
        Draw only for pairs of explanations whose score has a wider interval, or none.
    seed : int, optional
        Of the round; by default it follows from the study's seed and the round's number.
    most_seconds : float, optional
        Refuse what is expected to take longer; pages and requests cannot wait for it.

    Returns
    -------
    RoundPlan
        The same for the same study, ratings, arrays and seed.

    Raises
    ------
    StudyStateError
        When the study is a draft or closed.
    NothingToRate
        When all intervals are narrower than asked for.
    InvalidInput
        When a value is out of range, or it would take longer than `most_seconds`.
    ArrayProblem, SamplingProblem
        When a file cannot be read, or a pair cannot be sampled.
    """
    state_require(study, "a round can be drawn", StudyStatus.OPEN, StudyStatus.PAUSED)
    _asked_require(study, design, n_draws, half_width)
    number = study.sampling_rounds.count() + 1
    seed = science.seed_from(study.seed, "round", number) if seed is None else seed
    run = None if half_width is None else run_to_judge(study)
    everything = pairs_of(study)
    pairs = everything
    if run is not None and half_width is not None:
        doubtful = pairs_in_doubt(run, half_width)
        pairs = [pair for pair in pairs if (pair[0].pk, pair[1].pk) in doubtful]
        if not pairs:
            raise NothingToRate(
                f"half_width: no interval of the last estimate is wider than +-{half_width:g}, so "
                "there is nothing to draw; ask for a smaller half width, or for all pairs."
            )
    if design == RoundDesign.ADAPTIVE and most_seconds is not None:
        _time_require(study, len(pairs), most_seconds)
    ratings = counted_ratings(study)
    drawn, error_rate, is_estimated = _drawn(
        study, pairs, ratings, design=design, n_draws=n_draws, seed=seed, half_width=half_width
    )
    items = {
        (concept, index): pk
        for pk, concept, index in Item.objects.filter(study=study, gold_value="").values_list(
            "pk", "concept_id", "probe_input__index"
        )
    }
    new = {
        concept: [one for one in own.inputs if (concept.pk, one.index) not in items]
        for concept, own in drawn.items()
    }
    planned = tasks_plan(
        study, {concept: own for concept, own in new.items() if own}, seed=seed, before=items
    )
    plan = RoundPlan(
        number=number,
        design=design,
        n_draws=n_draws,
        half_width=half_width,
        seed=seed,
        run=run,
        n_ratings_before=len(ratings),
        error_rate=error_rate,
        pairs=[pair for own in drawn.values() for pair in own.pairs],
        n_pairs_left=len(everything) - len(pairs),
        tasks=planned.tasks,
        reused={
            items[concept.pk, one.index]: (one.n_draws, one.draw_probability)
            for concept, own in drawn.items()
            for one in own.inputs
            if (concept.pk, one.index) in items
        },
        concepts=[_counted(concept, own, new[concept]) for concept, own in drawn.items()],
        redundancy=study.redundancy,
        n_items_before=study.items.count(),
    )
    notes = [
        *_notes(study, plan, is_estimated=is_estimated),
        *_gold_notes(planned.gold_problems, planned.gold_told),
    ]
    return _with_cost(study, plan, notes)


def _asked_require(study: Study, design: str, n_draws: int, half_width: float | None) -> None:
    if design not in (RoundDesign.ADAPTIVE, study.sampling_design):
        raise InvalidInput(
            f"design: {design!r} is neither {RoundDesign.ADAPTIVE.value!r} nor the study's own, "
            f"{str(study.sampling_design)!r}."
        )
    if not 1 <= n_draws <= MAX_DRAWS:
        raise InvalidInput(f"n_draws: {n_draws} draws a pair; give 1 to {MAX_DRAWS}.")
    if half_width is not None and not 0 < half_width <= 1:
        raise InvalidInput(
            f"half_width: {half_width:g} is outside (0, 1]; {USUAL_HALF_WIDTH} is usual."
        )


def _time_require(study: Study, n_pairs: int, most_seconds: float) -> None:
    seconds = n_pairs * (SECONDS_A_PAIR + SECONDS_AN_INPUT * study.dataset.n_inputs)
    if seconds > most_seconds:
        raise InvalidInput(
            f"design: models of {n_pairs} pairs take about {seconds:.0f} seconds, longer than a "
            f"request may ({most_seconds:g}); use manage.py draw_round {study.slug}, or give a "
            "half_width that leaves fewer pairs."
        )


def _drawn(
    study: Study,
    pairs: Iterable[tuple[Neuron, Concept]],
    ratings: list[science.RatingRow],
    *,
    design: str,
    n_draws: int,
    seed: int,
    half_width: float | None,
) -> tuple[dict[Concept, _Drawn], float | None, bool]:
    """Draw for every pair; also say which error rate was used and whether ratings gave it."""
    neurons_of: dict[Concept, list[Neuron]] = defaultdict(list)
    for neuron, concept in pairs:
        neurons_of[concept].append(neuron)
    columns = columns_of(study.concept_prior)
    prior = science.array_load(study.concept_prior, verify=True)
    matrices = {
        neuron.activations_id: neuron.activations for own in neurons_of.values() for neuron in own
    }
    arrays = {pk: science.array_load(matrix, verify=True) for pk, matrix in matrices.items()}
    is_adaptive = design == RoundDesign.ADAPTIVE
    error_rate, is_estimated = None, False
    votes: dict[int, science.Votes] = {}
    if is_adaptive:
        votes = science.votes_by_concept(ratings)
        error_rate, is_estimated = science.rater_error_rate(
            ratings, {concept: prior[:, columns[concept]] for concept in votes}
        )
    drawn: dict[Concept, _Drawn] = {}
    for concept, neurons in neurons_of.items():
        seeds = [pair_seed(seed, neuron, concept) for neuron in neurons]
        activations = [arrays[neuron.activations_id][:, neuron.unit] for neuron in neurons]
        own_prior = prior[:, columns[concept.pk]]
        further: int | None = None
        if error_rate is not None:
            found = science.draw_adaptive(
                activations=activations,
                prior=own_prior,
                votes=votes.get(concept.pk),
                error_rate=error_rate,
                n_draws=n_draws,
                seeds=seeds,
                half_width=half_width or USUAL_HALF_WIDTH,
                what=f"concept {concept.text!r}",
            )
            draws = found.draws
            known = [value for value in found.further if value is not None]
            # a rating serves all neurons of the concept, so the most demanding one decides
            further = max(known) if len(known) == len(found.further) else None
        else:
            draws = [
                science.draw_pair(
                    design=design,
                    parameters=study.sampling_parameters,
                    activation=activation,
                    prior=own_prior,
                    n_draws=n_draws,
                    seed=own_seed,
                    what=f"neuron {neuron}, concept {concept.text!r}",
                )
                for neuron, activation, own_seed in zip(neurons, activations, seeds, strict=True)
            ]
        planned = [
            PlannedPair(
                neuron,
                concept,
                design,
                dict(draw.parameters) if is_adaptive else study.sampling_parameters,
                own_seed,
                draw.indices.tolist(),
                draw.probabilities.tolist(),
            )
            for neuron, draw, own_seed in zip(neurons, draws, seeds, strict=True)
        ]
        drawn[concept] = _Drawn(planned, science.sampled_inputs(draws), further)
    return drawn, error_rate, is_estimated


def _counted(concept: Concept, drawn: _Drawn, new: list[science.SampledInput]) -> ConceptRound:
    n_draws = sum(one.n_draws for one in drawn.inputs)
    return ConceptRound(
        concept=concept.text,
        n_pairs=len(drawn.pairs),
        n_draws=n_draws,
        n_new=len(new),
        n_reused=n_draws - sum(one.n_draws for one in new),
        further=drawn.further,
    )


def _notes(study: Study, plan: RoundPlan, *, is_estimated: bool) -> Iterable[str]:
    if plan.error_rate is not None and not is_estimated:
        yield (
            f"No rating counts yet: raters are taken to err at the published rate of "
            f"{plan.error_rate:.0%}, and the round follows activations and prior alone."
        )
    if plan.half_width is not None and plan.run is None:
        yield "There is no estimate yet, so every pair draws."
    if plan.run is not None and plan.run.n_ratings < plan.n_ratings_before:
        n_newer = plan.n_ratings_before - plan.run.n_ratings
        yield (
            f"The intervals are those of the last {plan.run.get_aggregation_display()} run, which "
            f"{n_newer} newer ratings are not in; recompute it to choose pairs by all of them."
        )
    sampled = plan.n_items_before - study.items.exclude(gold_value="").count()
    n_missing = sampled * plan.redundancy - plan.n_ratings_before
    if n_missing > 0:
        yield (
            f"{n_missing} ratings of earlier rounds are still to come; the round cannot know what "
            "they will say."
        )
    if not plan.n_items:
        yield "Every draw falls on an input that is an item already: nobody is asked anything."


def _gold_notes(problems: list[str], told: list[str]) -> Iterable[str]:
    if problems:
        more = len(problems) - NAMED
        named = "; ".join(problems[:NAMED]) + (f"; and {more} more" if more > 0 else "")
        yield f"Tasks of these concepts have no gold items, for known answers are short: {named}."
    if told:
        more = len(told) - NAMED
        named = "; ".join(told[:NAMED]) + (f"; and {more} more" if more > 0 else "")
        yield f"Raters have been shown the answer to new items in training or examples: {named}."


def _with_cost(study: Study, plan: RoundPlan, notes: list[str]) -> RoundPlan:
    slots = len(plan.tasks) * plan.redundancy
    limit = study.quality_policy.tasks_per_rater
    # no rater does a task twice, so that the redundancy is the least there can be
    n_raters = max(plan.redundancy, -(-slots // limit) if limit else 0) if slots else 0
    active = list(
        Recruitment.objects.filter(study=study, active=True).select_related("study").order_by("pk")
    )
    costs = []
    for recruitment in active:
        estimate = cost_estimate(recruitment, places=n_raters)
        paid = is_paid_channel(recruitment.channel)
        costs.append(
            ChannelCost(
                channel=str(recruitment.get_channel_display()),
                places_planned=recruitment.places,
                total_minor=estimate.total_minor if paid else 0,
                left_minor=estimate.left_minor,
                currency=study.currency,
                is_paid=paid,
            )
        )
    if n_raters and not active:
        notes.append("No channel recruits, so that no new rater can come; switch one on.")
    for cost in costs:
        if n_raters and (cost.places_planned or cost.is_paid):
            notes.append(
                f"{cost.channel}: {cost.places_planned} places are planned in all, and the new "
                f"tasks need about {n_raters} more raters unless earlier ones go on; add places "
                "under Recruitment. Nothing is bought by drawing a round."
            )
        if cost.passes_cap:
            left = (
                "none is set"
                if cost.left_minor is None
                else (f"{minor(cost.left_minor, cost.currency)} are left of it")
            )
            notes.append(
                f"{cost.channel}: {minor(cost.total_minor, cost.currency)} for {n_raters} raters "
                f"pass the spending cap ({left})."
            )
    n_shown = plan.n_items + plan.n_gold
    return replace(
        plan,
        n_raters=n_raters,
        minutes_a_task=n_shown / max(len(plan.tasks), 1) * SECONDS_AN_ITEM / 60,
        costs=costs,
        notes=notes,
    )
