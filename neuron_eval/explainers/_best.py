"""Explain every neuron by the concept of its best score."""

import torch
from torch import Tensor

from neuron_eval.explanations import Explanation, Term


def best_concepts(scores: Tensor) -> list[Explanation]:
    """Pick the concept of the highest defined score for every neuron.

    Parameters
    ----------
    scores : Tensor, shape (n_neurons, n_concepts)
        Scores, NaN where undefined.

    Returns
    -------
    list of Explanation
        One per neuron; the first concept among equals. A neuron without any defined score gets
        an explanation without terms and without a score.
    """
    defined = ~torch.isnan(scores)
    usable = torch.where(defined, scores, -torch.inf)
    best = usable.amax(dim=1, keepdim=True)
    # The first True: max() promises the first among equals on no device.
    first = (usable == best).to(torch.uint8).argmax(dim=1)
    return [
        Explanation(unit, (Term(concept),), score=score) if explained else Explanation(unit, ())
        for unit, (concept, score, explained) in enumerate(
            zip(first.tolist(), best[:, 0].tolist(), defined.any(dim=1).tolist(), strict=True)
        )
    ]
