"""From ratings to labels: votes, BRAgg, and the hierarchical Bayesian model."""

from estimation.aggregation.bragg import BRAgg, bragg_posterior
from estimation.aggregation.hierarchical import HierarchicalBayes
from estimation.aggregation.priors import prior_of_items
from estimation.aggregation.votes import MajorityVote, MeanRating

__all__ = [
    "BRAgg",
    "HierarchicalBayes",
    "MajorityVote",
    "MeanRating",
    "bragg_posterior",
    "prior_of_items",
]
