"""Statistics of a study: which inputs to rate, and what the ratings say.

ratings -> label probabilities -> score with interval -> leaderboard of methods:

- ``estimation.ratings`` the ratings table, checked once
- ``estimation.sampling`` designs, draws with their seeds and weights, pooling
- ``estimation.aggregation`` votes, BRAgg, the one-pair model, the hierarchical Bayesian model
- ``estimation.correlation``, ``model_correlation``, ``linear_explanations`` scores with intervals
- ``estimation.comparison`` methods ranked by their mean score over neurons
- ``estimation.sanity`` Missing and Extra Labels on estimated labels
- ``estimation.simulation``, ``simulated_study`` raters and studies made up to test all this

Importing it needs numpy, scipy and pandas alone; PyMC, nutpie and numba are imported when a
hierarchical model is fitted, ``neuron_eval`` when a sanity check runs.
"""
