"""Planning: how exact a study will be, what it costs, how many more ratings, when to stop.

- ``ratings_ahead`` raters' errors, doubt about the prior, label posteriors before the ratings
- ``expected_error``, ``design_errors`` the linearised error of an estimate, its variance by design
- ``pair_plan`` expected error against budget, design and redundancy
- ``price`` recommended study and its price
- ``further`` after some ratings: how many more, and the stopping rule
- ``plots`` the picture of a plan (imports matplotlib when called)
"""

from estimation.planning.design_errors import PLANNED_DESIGNS
from estimation.planning.further import (
    FurtherRatings,
    StopDecision,
    StoppingRule,
    further_ratings,
    should_stop,
)
from estimation.planning.pair_plan import Plan, combine_plans, plan_pair
from estimation.planning.plots import plot_plan
from estimation.planning.price import Price, Recommendation, price, recommend, savings
from estimation.planning.ratings_ahead import PriorDoubt, RaterErrors

__all__ = [
    "PLANNED_DESIGNS",
    "FurtherRatings",
    "Plan",
    "Price",
    "PriorDoubt",
    "RaterErrors",
    "Recommendation",
    "StopDecision",
    "StoppingRule",
    "combine_plans",
    "further_ratings",
    "plan_pair",
    "plot_plan",
    "price",
    "recommend",
    "savings",
    "should_stop",
]
