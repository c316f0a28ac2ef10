"""The model whose neurons are explained: a small convolutional network, trained in seconds."""

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from demo.digits import Digits

MODEL_NAME = "digits-cnn"
HIDDEN_LAYER = "hidden"
OUTPUT_LAYER = "output"


def build(*, seed: int) -> nn.Sequential:
    """Return the untrained network.

    Parameters
    ----------
    seed : int
        Of the initial weights.

    Returns
    -------
    torch.nn.Sequential
        Images of shape (n, 1, 8, 8), float32 in [0, 1], in; logits of shape (n, 10) out.
    """
    torch.manual_seed(seed)
    return nn.Sequential(
        OrderedDict(
            [
                ("conv1", nn.Conv2d(1, 16, 3, padding=1)),
                ("relu1", nn.ReLU()),
                ("conv2", nn.Conv2d(16, 24, 3, padding=1)),
                (HIDDEN_LAYER, nn.ReLU()),
                ("pool", nn.AdaptiveMaxPool2d(2)),
                ("flatten", nn.Flatten()),
                (OUTPUT_LAYER, nn.Linear(24 * 4, 10)),
            ]
        )
    )


def train(
    digits: Digits, *, seed: int, epochs: int = 12, progress: Callable[[], None] | None = None
) -> tuple[nn.Sequential, float]:
    """Train on the train split.

    Parameters
    ----------
    digits : Digits
        Images, labels and split.
    seed : int
        Of weights and batches.
    epochs : int
        Passes over the train split.
    progress : callable, optional
        Called after every epoch.

    Returns
    -------
    model : torch.nn.Sequential
        In evaluation mode.
    accuracy : float
        Share of right answers on the held-out inputs, in [0, 1].
    """
    model = build(seed=seed)
    images = torch.from_numpy(digits.images).unsqueeze(1)
    labels = torch.from_numpy(digits.labels)
    rows = torch.from_numpy(digits.train)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    shuffle = torch.Generator().manual_seed(seed)
    model.train()
    for _ in range(epochs):
        for batch in rows[torch.randperm(len(rows), generator=shuffle)].split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
        if progress is not None:
            progress()
    model.eval()
    held_out = np.setdiff1d(np.arange(len(digits.labels)), digits.train)
    with torch.no_grad():
        predicted = model(images[held_out]).argmax(dim=1)
    return model, float((predicted == labels[held_out]).double().mean())
