"""From ratings to labels: votes, BRAgg, the one-pair model, and the hierarchical Bayesian model."""

from estimation.aggregation.bragg import BRAgg, bragg_posterior
from estimation.aggregation.hierarchical import HierarchicalBayes
from estimation.aggregation.laplace import LaplaceMixture
from estimation.aggregation.priors import prior_of_items
from estimation.aggregation.votes import MajorityVote, MeanRating

__all__ = [
    "BRAgg",
    "HierarchicalBayes",
    "LaplaceMixture",
    "MajorityVote",
    "MeanRating",
    "bragg_posterior",
    "prior_of_items",
]
