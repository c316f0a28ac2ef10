"""``neuron-estimate next``: the score so far, whether to stop, and which inputs to rate next."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from estimation.checks import EstimationError
from estimation.cli.pairs import Activations, Correlation, ErrorRate, Prior, read_pairs
from neuron_eval.cli.console import CONSOLE, check_output, note, write_table

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from estimation.aggregation import LaplaceMixture
    from estimation.cli.pairs import NamedPair


def next_round(
    activations: Activations,
    prior: Prior,
    pair: Annotated[
        list[str],
        typer.Option(
            "--pair",
            "-p",
            help="NEURON:CONCEPT, names or column numbers. Several neurons of one concept share "
            "its ratings.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(help="Write the inputs to rate: item, n_ratings. .csv or .json."),
    ],
    ratings: Annotated[
        Path | None,
        typer.Option(
            help="Ratings so far, columns item, rater, rating; of a column concept those of the "
            "pair's concept count. None before round one."
        ),
    ] = None,
    n_ratings: Annotated[int, typer.Option(min=1, help="Ratings of the next round.")] = 90,
    half_width: Annotated[
        float, typer.Option(help="Stop when half the interval is no more than this.")
    ] = 0.03,
    max_ratings: Annotated[int, typer.Option(min=1, help="Stop at this many at the latest.")] = 540,
    error_rate: ErrorRate = 0.23,
    correlation: Correlation = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the round.")] = 0,
) -> None:
    """Draw the next round of an adaptive study, or say that the score is known well enough.

    neuron-estimate next activations.npy prior.csv -p 12:dog --output 1.csv

    neuron-estimate next activations.npy prior.csv -p 12:dog --ratings so-far.csv --output 2.csv
    """
    from estimation.adaptive import draw_adaptive, one_pair_score
    from estimation.planning import StoppingRule, should_stop

    check_output(output, (".csv", ".json"))
    concepts = {name.partition(":")[2] for name in pair}
    if len(concepts) > 1:
        msg = (
            f"--pair: {len(concepts)} concepts ({', '.join(sorted(concepts))}); plan one at a time"
        )
        raise EstimationError(msg)
    pairs = read_pairs(activations, prior, pair)
    table = _of_concept(_read_ratings(ratings), concepts.pop())
    rule = StoppingRule(half_width, min_ratings=0, max_ratings=max_ratings)
    models, stops = [], []
    for one in pairs:
        model = _fitted(one, table, error_rate, correlation, seed)
        models.append(model)
        n_so_far = int(model.n_.sum())
        if n_so_far:
            estimate = one_pair_score(model, one.activation, seed=seed)
            decision = should_stop(estimate, n_so_far, rule)
            stops.append(decision.stop)
            CONSOLE.print(
                f"{one.name}: score {estimate.score:.3f} [{estimate.lower:.3f}, "
                f"{estimate.upper:.3f}] from {n_so_far} ratings; {decision.reason}",
                soft_wrap=True,
                markup=False,
            )
            for warning in estimate.warnings:
                note(f"{one.name}: {warning}")
    if stops and all(stops):
        CONSOLE.print("stop: no further round is needed")
        return
    draw = draw_adaptive(models, [one.activation for one in pairs], n_draws=n_ratings, seed=seed)
    write_table(_counted(draw.indices), output)


def _read_ratings(path: Path | None) -> "pd.DataFrame | None":
    if path is None:
        return None
    from estimation.ratings import check_ratings
    from neuron_eval.tables import read_table

    return check_ratings(read_table(path))


def _of_concept(table: "pd.DataFrame | None", concept: str) -> "pd.DataFrame | None":
    """Take the ratings of one concept, where the table says of which they are."""
    if table is None or "concept" not in table.columns:
        return table
    names = table["concept"].astype(str)
    own = table[names == concept]
    if own.empty:
        msg = (
            f"--ratings: of {', '.join(sorted(set(names))[:5])}, none of the concept {concept!r}; "
            "name the concept in --pair as the column 'concept' does, or drop that column"
        )
        raise EstimationError(msg)
    return own.drop(columns="concept")


def _fitted(
    pair: "NamedPair",
    table: "pd.DataFrame | None",
    error_rate: float,
    correlation: float,
    seed: int,
) -> "LaplaceMixture":
    import numpy as np

    from estimation.aggregation import LaplaceMixture

    model = LaplaceMixture(
        miss_rate=error_rate,
        false_alarm_rate=error_rate,
        within_item_correlation=correlation,
        seed=seed,
    )
    if table is not None:
        return model.fit(pair.activation, pair.prior, table)
    nothing = np.zeros(0, dtype=np.int64)
    return model.fit_counts(pair.activation, pair.prior, nothing, nothing, nothing)


def _counted(indices: "NDArray[np.int64]") -> "pd.DataFrame":
    import numpy as np
    import pandas as pd

    items, counts = np.unique(indices, return_counts=True)
    return pd.DataFrame({"item": items, "n_ratings": counts})
