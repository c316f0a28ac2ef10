"""Real pairs from CIFAR-10H: ten thousand images, some fifty real answers to each, real models.

A neuron is a model's softmax output of a class, the concept "is that class" (or one of several
classes), the concept prior another model's output, and a rating a Bernoulli draw from the share of
people who chose the class.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from estimation.checks import EstimationError
from estimation.laboratory.pairs import UNCHANGED, LabPair, PriorChange, change_prior

FILE = "classes_0_to_4.npz"
#: (model of the neuron, model of the concept prior)
MODELS = (("resnet110", "densenet190"), ("densenet190", "weak_cnn"), ("weak_cnn", "resnet110"))
_FIELDS = ("truth", "human_counts", "human_total", "resnet110", "densenet190", "weak_cnn")


@dataclass(frozen=True)
class CifarRecipe:
    """A real pair.

    Attributes
    ----------
    path : str
        The .npz file.
    neuron, prior : str
        Models whose outputs are the activations and the concept prior.
    unit : int
        Column of the neuron.
    classes : tuple of int
        Columns of the concept; an input has the concept when its class is one of them.
    positives : float, optional
        Positives are left out at random until they are this share of the inputs.
    change : PriorChange
        What is done to the prior.
    seed : int
        Seed of both.
    """

    path: str
    neuron: str
    prior: str
    unit: int
    classes: tuple[int, ...]
    positives: float | None = None
    change: PriorChange = UNCHANGED
    seed: int = 0

    def make(self) -> LabPair:
        """Make the pair.

        Raises
        ------
        EstimationError
            When the file does not hold what it should.
        """
        data = _read(self.path)
        rng = np.random.default_rng(self.seed)
        classes = list(self.classes)
        positive = np.isin(data["truth"], classes)
        kept = np.arange(positive.size)
        if self.positives is not None:
            n_negative = int((~positive).sum())
            n_kept = round(n_negative * self.positives / (1 - self.positives))
            where = np.flatnonzero(positive)
            kept = np.sort(
                np.concatenate(
                    [
                        np.flatnonzero(~positive),
                        rng.choice(where, min(n_kept, where.size), replace=False),
                    ]
                )
            )
        positive = positive[kept]
        prior = np.clip(data[self.prior][kept][:, classes].sum(axis=1, dtype=np.float64), 0, 1)
        share = data["human_counts"][kept][:, classes].sum(axis=1) / data["human_total"][kept]
        return LabPair(
            data[self.neuron][kept, self.unit].astype(np.float64),
            change_prior(prior, positive, self.change, rng),
            positive.astype(np.float64),
            share,
        )


def find_file(folder: Path) -> Path:
    """Find the data file.

    Parameters
    ----------
    folder : path
        Where it should be.

    Returns
    -------
    path

    Raises
    ------
    EstimationError
        When it is not there.
    """
    path = folder / FILE
    if not path.is_file():
        msg = (
            f"data: found no {path}. It is CIFAR-10H (human_counts, human_total, truth) with "
            "softmax columns of resnet110, densenet190 and weak_cnn; give its folder, or stay with "
            "the simulated settings."
        )
        raise EstimationError(msg)
    return path


def n_classes(path: Path) -> int:
    """Count the classes in a data file."""
    return int(_read(str(path))["human_counts"].shape[1])


@lru_cache(maxsize=2)
def _read(path: str) -> dict[str, NDArray[np.generic]]:
    with np.load(path, allow_pickle=False) as file:
        missing = [name for name in _FIELDS if name not in file]
        if missing:
            msg = f"data: {path} has no {', '.join(missing)}; it must hold {', '.join(_FIELDS)}"
            raise EstimationError(msg)
        return {name: file[name] for name in _FIELDS}
