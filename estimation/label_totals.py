"""What a posterior of labels says of the correlation: two totals, nearly normal.

Given the parameters labels are independent, so T1 = sum c and T2 = sum a c are nearly normal with
means sum g and sum a g and covariance from v = g (1 - g). They are sums over inputs, so a million
inputs need no more memory than a chunk of them.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from estimation.checks import FloatArray

#: Inputs that are summed at once: draws x inputs stays within some megabytes.
CHUNK = 8192


@dataclass(eq=False)
class LabelTotals:
    """Sums over all inputs, an entry a posterior draw of the parameters.

    Attributes
    ----------
    n_inputs : int
        Size N of the probe dataset.
    mean_1, mean_2 : ndarray, shape (n_draws,)
        sum g and sum a g, a standardised over all inputs.
    var_1, covariance, var_2 : ndarray, shape (n_draws,)
        sum v, sum a v and sum a^2 v, with v = g (1 - g).
    """

    n_inputs: int
    mean_1: FloatArray
    mean_2: FloatArray
    var_1: FloatArray
    covariance: FloatArray
    var_2: FloatArray

    @classmethod
    def zeros(cls, n_draws: int, n_inputs: int) -> Self:
        """Start sums of `n_draws` draws over `n_inputs` inputs."""
        return cls(n_inputs, *(np.zeros(n_draws) for _ in range(5)))

    def add(self, g: FloatArray, scaled: FloatArray, *, sign: int = 1) -> None:
        """Add inputs, or take them out with sign -1.

        Parameters
        ----------
        g : ndarray, shape (n, n_draws)
            P(c_i = 1) of n inputs.
        scaled : ndarray, shape (n,)
            Their standardised activations.
        sign : {1, -1}
        """
        v = g * (1 - g)
        self.mean_1 += sign * g.sum(axis=0)
        self.mean_2 += sign * (scaled @ g)
        self.var_1 += sign * v.sum(axis=0)
        self.covariance += sign * (scaled @ v)
        self.var_2 += sign * (scaled**2 @ v)

    def draw_means(self, n_totals: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Draw mu = T1 / N and t2 = T2 / N.

        Parameters
        ----------
        n_totals : int
            Draws for each draw of the parameters.
        rng : Generator
            Source of chance.

        Returns
        -------
        mu, t2 : ndarray, shape (n_draws, n_totals)
        """
        normal = rng.standard_normal((2, self.mean_1.size, n_totals))
        sd_1 = np.sqrt(np.maximum(self.var_1, 0.0))
        slope = np.divide(self.covariance, sd_1, out=np.zeros_like(sd_1), where=sd_1 > 0)
        rest = np.sqrt(np.maximum(self.var_2 - slope**2, 0.0))
        t1 = self.mean_1[:, None] + sd_1[:, None] * normal[0]
        t2 = self.mean_2[:, None] + slope[:, None] * normal[0] + rest[:, None] * normal[1]
        return t1 / self.n_inputs, t2 / self.n_inputs
