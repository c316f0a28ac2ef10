"""Sanity checks of metrics: Missing Labels and Extra Labels.

A metric that judges explanations must fall when the concept's labels get worse: when half of the
positive labels are lost (missing), and when as many wrong ones are added (extra).

References
----------
Oikarinen, Yan, Weng, "Evaluating Neuron Explanations: A Unified Framework with Sanity Checks",
ICML 2025, arXiv 2506.05774.
"""
