"""A run with everything that it rests on, as one JSON document."""

from typing import Any

from annotation.intervals import interval_covers, interval_note
from annotation.models import EstimateRun
from annotation.queries import explanation_estimates, leaderboard


def estimates_document(run: EstimateRun) -> dict[str, Any]:
    """Put a run with all that it rests on into one JSON document.

    Parameters
    ----------
    run : EstimateRun
        Finished.

    Returns
    -------
    dict
        JSON values: ``study``, ``run``, ``leaderboard``, ``estimates``.
    """
    study = run.study
    return {
        "study": {
            "slug": study.slug,
            "title": study.title,
            "dataset": study.dataset.name,
            "n_inputs": study.dataset.n_inputs,
            "concept_prior": study.concept_prior.name,
            "sampling_design": study.sampling_design,
            "sampling_parameters": study.sampling_parameters,
            "seed": study.seed,
            "inputs_per_pair": study.inputs_per_pair,
            "redundancy": study.redundancy,
            "rounds": [
                {
                    "number": row.number,
                    "design": row.design,
                    "n_draws": row.n_draws,
                    "half_width": row.half_width,
                    "seed": row.seed,
                    "drawn_at": row.drawn_at.isoformat(),
                    "n_ratings_before": row.n_ratings_before,
                }
                for row in study.sampling_rounds.order_by("number")
            ],
        },
        "run": {
            "id": str(run.public_id),
            "aggregation": run.aggregation,
            "estimator": run.estimator,
            "level": run.level,
            "interval_covers": interval_covers(run.aggregation),
            "interval_note": interval_note(run.aggregation),
            "seed": run.seed,
            "n_ratings": run.n_ratings,
            "finished_at": None if run.finished_at is None else run.finished_at.isoformat(),
            "diagnostics": run.diagnostics,
            "sanity_checks": run.sanity_checks,
        },
        "leaderboard": [
            {
                "method": row.method.name,
                "rank": row.rank,
                "rank_lower": row.rank_lower,
                "rank_upper": row.rank_upper,
                "mean_score": row.mean_score,
                "lower": row.lower,
                "upper": row.upper,
                "probability_best": row.probability_best,
                "n_neurons": row.n_neurons,
                "reference_mean": row.reference_mean,
            }
            for row in leaderboard(run)
        ],
        "estimates": [
            {
                "model": row.explanation.neuron.activations.model_name,
                "layer": row.explanation.neuron.activations.layer,
                "unit": row.explanation.neuron.unit,
                "method": row.method,
                "explanation": row.text,
                "terms": [
                    {"concept": term.concept.text, "weight": term.weight}
                    for term in row.explanation.terms.all()
                ],
                "score": row.score,
                "lower": row.lower,
                "upper": row.upper,
                "standard_error": row.estimate.standard_error,
                "n_effective": row.estimate.n_effective,
                "n_inputs_rated": row.n_inputs_rated,
                "reference_score": row.reference_score,
                "warnings": row.warnings,
            }
            for row in explanation_estimates(run)
        ],
    }
