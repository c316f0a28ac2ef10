"""Statistics of a study: which inputs to rate, and what the ratings say.

ratings -> label probabilities -> score with interval -> leaderboard of methods:

- ``estimation.ratings``, ``rating_formats`` the ratings table, checked once; tables of others
- ``estimation.sampling`` designs, draws with their seeds and weights, pooling
- ``estimation.planning`` expected error, price, further ratings, when to stop
- ``estimation.adaptive`` rounds that ask for the ratings that are worth most
- ``estimation.aggregation`` votes, BRAgg, Dawid-Skene, the one-pair model, hierarchical Bayes
- ``estimation.correlation``, ``model_correlation``, ``linear_explanations``, ``combined`` scores
  with intervals; ``metric_estimates`` the same for any metric of ``neuron_eval``
- ``estimation.comparison``, ``separation`` methods ranked; ratings needed to tell two apart
- ``estimation.sanity`` Missing and Extra Labels on estimated labels
- ``estimation.simulation``, ``simulated_study``, ``laboratory`` raters and studies made up to test
  all this
- ``estimation.parallel`` thousands of pairs, on all cores or a cluster
- ``estimation.cli`` the command ``neuron-estimate``

Importing it needs numpy, scipy and pandas alone; PyMC, nutpie and numba are imported when a
hierarchical model is fitted, ``neuron_eval`` when a metric or a sanity check runs.
"""
