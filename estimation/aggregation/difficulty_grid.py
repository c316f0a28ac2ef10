"""Items' difficulty and the prevalence, integrated out on a grid explored from its best point.

What is given at a point, the spread sigma of the difficulty and the prior of every label, fits the
raters (`item_difficulty`); the height of that fit weighs the point.
"""

import heapq
from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit, logit
from scipy.stats import t as student_t

from estimation.aggregation.encoding import EncodedRatings
from estimation.aggregation.item_difficulty import (
    MEAN_ERROR,
    RaterFit,
    answer_weights,
    error_correlation,
    fit_raters,
    predict_labels,
    starting_raters,
)
from estimation.checks import FloatArray

#: Prior of sigma, normal cut off at 0: at raters' mean error of 0.2 its mean is a tau of 0.1.
SIGMA_PRIOR = (0.8, 0.4)
#: Prior of the prevalence: its logit is Student t around 0 with these degrees of freedom and scale.
PREVALENCE_DF, PREVALENCE_SCALE = 2.0, 0.2
#: First and last steps of the grid in (logit of prevalence, sigma).
FIRST_STEPS, LAST_STEPS = (0.5, 0.4), (0.125, 0.1)
#: Grid points this many nats below the best are left out.
DEPTH = 4.0


@dataclass(frozen=True, eq=False)
class GridPoint:
    """One point of the grid: a shift of the prevalence, a sigma, and the raters given both.

    Attributes
    ----------
    shift : float
        Added to the logit of the prior of every label.
    sigma : float
        Standard deviation of the items' difficulty on the logit of an error.
    height : float
        Log posterior density, up to a constant.
    raters : RaterFit
        Raters at their mode.
    converged : bool
        Whether they had settled.
    """

    shift: float
    sigma: float
    height: float
    raters: RaterFit
    converged: bool


def explore_grid(
    data: EncodedRatings, centre: FloatArray, prevalence_scale: float | None
) -> list[tuple[GridPoint, float]]:
    """Integrate sigma, and the prevalence unless it is known, on a grid.

    Parameters
    ----------
    data : EncodedRatings
        Ratings.
    centre : ndarray, shape (n_items,)
        Logit of the prior probability of every label; where the prevalence is learned, of a guess
        of it, to which one shift for all is added.
    prevalence_scale : float or None
        Scale of the Student t prior of the mean logit; None takes `centre` as it is.

    Returns
    -------
    list of (GridPoint, float)
        Points and their weights, which add up to 1, the heaviest first.
    """
    return _Grid(data, centre, prevalence_scale).explore()


def mean_error_correlation(
    data: EncodedRatings, centre: FloatArray, points: list[tuple[GridPoint, float]]
) -> float:
    """Average over a grid the correlation tau of two alike raters' errors on one item.

    Parameters
    ----------
    data, centre
        As in `explore_grid`.
    points : list of (GridPoint, float)
        From it.

    Returns
    -------
    float
        In [0, 1): raters weigh as many answers as they gave; all alike where none was given.
    """
    tau = 0.0
    for point, weight in points:
        if data.answers.size:
            label = predict_labels(data, centre + point.shift, point.sigma, point.raters)
            answers = answer_weights(data, label)
        else:
            answers = np.ones((len(data.raters), 2))
        tau += weight * error_correlation(point.raters, point.sigma, answers)
    return tau


@dataclass(eq=False)
class _Grid:
    """A lattice of (prevalence shift, sigma) that is explored from its best point outwards.

    Without a scale of the prior the prevalence is known: its shift stays 0.
    """

    data: EncodedRatings
    centre: FloatArray
    prevalence_scale: float | None
    _points: dict[tuple[int, int], GridPoint] = field(default_factory=dict)

    def explore(self) -> list[tuple[GridPoint, float]]:
        """Refine while the posterior is narrow; return points with weights, best first."""
        steps = [round(first / last) for first, last in zip(FIRST_STEPS, LAST_STEPS, strict=True)]
        starts = self._starts(steps)
        for start in starts:
            self._evaluate(start, starting_raters(len(self.data.raters)))
        while True:
            places = self._flood(starts, steps)
            weight = np.array([self._mass(place) for place in places])
            weight /= weight.sum()
            starts = [places[int(weight.argmax())]]
            fine = True
            for axis in range(2):
                values = np.array([place[axis] for place in places], dtype=np.float64)
                spread = np.sqrt(weight @ (values - weight @ values) ** 2)
                if steps[axis] > 1 and spread < 0.6 * steps[axis]:
                    steps[axis] //= 2
                    fine = False
            if fine:
                break
        # a share of the heaviest, not of all: a wide prior has thousands of points of little weight
        least = 1e-3 * float(weight.max())
        kept = [
            (self._points[p], float(w)) for p, w in zip(places, weight, strict=True) if w > least
        ]
        kept.sort(key=lambda pair: -pair[1])
        total = sum(w for _, w in kept)
        return [(point, w / total) for point, w in kept]

    def _starts(self, steps: list[int]) -> list[tuple[int, int]]:
        """Prevalence as the share of "present", and as if all raters erred at the mean rate.

        Where the two differ, as for rare concepts, the posterior may have a mode at each.
        """
        sigma = round(SIGMA_PRIOR[0] / LAST_STEPS[1])
        if self.prevalence_scale is None:
            return [(0, sigma)]
        share = float(expit(self.centre).mean())
        corrected = np.clip((share - MEAN_ERROR) / (1 - 2 * MEAN_ERROR), 0.02, 0.98)
        shift = float(logit(corrected) - logit(share)) / (LAST_STEPS[0] * steps[0])
        return sorted({(0, sigma), (round(shift) * steps[0], sigma)})

    def _flood(self, starts: list[tuple[int, int]], steps: list[int]) -> list[tuple[int, int]]:
        """Evaluate the lattice around `starts`, as far as points come near the best one."""
        queue = [(-self._points[start].height, start) for start in starts]
        heapq.heapify(queue)
        seen, done = set(starts), []
        while queue:
            low, place = heapq.heappop(queue)
            best = max(self._points[p].height for p in seen)
            if -low < best - DEPTH:
                continue
            done.append(place)
            for near in self._neighbours(place, steps):
                if near not in seen:
                    self._evaluate(near, self._points[place].raters)
                    seen.add(near)
                    heapq.heappush(queue, (-self._points[near].height, near))
        best = max(self._points[p].height for p in done)
        return [place for place in done if self._points[place].height >= best - DEPTH]

    def _neighbours(self, place: tuple[int, int], steps: list[int]) -> list[tuple[int, int]]:
        near = [(place[0], place[1] - steps[1]), (place[0], place[1] + steps[1])]
        if self.prevalence_scale is not None:
            near += [(place[0] - steps[0], place[1]), (place[0] + steps[0], place[1])]
        return [point for point in near if point[1] >= 0]

    def _evaluate(self, place: tuple[int, int], start: RaterFit) -> None:
        if place in self._points:
            return
        shift, sigma = place[0] * LAST_STEPS[0], place[1] * LAST_STEPS[1]
        prior = -0.5 * ((sigma - SIGMA_PRIOR[0]) / SIGMA_PRIOR[1]) ** 2
        if self.prevalence_scale is not None:
            level = float(self.centre.mean()) + shift
            prior += float(student_t.logpdf(level / self.prevalence_scale, PREVALENCE_DF))
        best = max((point.height for point in self._points.values()), default=-np.inf)
        raters, converged = fit_raters(
            self.data, self.centre + shift, sigma, start, worth=best - DEPTH - prior
        )
        self._points[place] = GridPoint(shift, sigma, raters.height + prior, raters, converged)

    def _mass(self, place: tuple[int, int]) -> float:
        best = max(point.height for point in self._points.values())
        # the trapezium rule: sigma ends at 0, where a point stands for half a step
        return float(np.exp(self._points[place].height - best)) * (0.5 if place[1] == 0 else 1.0)
