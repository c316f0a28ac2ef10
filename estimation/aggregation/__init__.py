"""From ratings to labels: votes, BRAgg, Dawid-Skene, its calibrated form, Bayesian models."""

from estimation.aggregation.bragg import BRAgg, bragg_posterior
from estimation.aggregation.calibrated import CalibratedDawidSkene
from estimation.aggregation.dawid_skene import DawidSkene
from estimation.aggregation.hierarchical import HierarchicalBayes
from estimation.aggregation.laplace import LaplaceMixture
from estimation.aggregation.priors import prior_of_items
from estimation.aggregation.shared_errors import estimate_within_item_correlation
from estimation.aggregation.votes import MajorityVote, MeanRating

__all__ = [
    "BRAgg",
    "CalibratedDawidSkene",
    "DawidSkene",
    "HierarchicalBayes",
    "LaplaceMixture",
    "MajorityVote",
    "MeanRating",
    "bragg_posterior",
    "estimate_within_item_correlation",
    "prior_of_items",
]
