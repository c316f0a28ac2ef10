"""The metric core: how well an explanation describes a neuron.

Activations (n_inputs, n_neurons) and concepts (n_inputs, n_concepts) go in, scores
(n_neurons, n_concepts) come out. The package needs torch, numpy, pandas, scipy and scikit-learn,
and nothing of the web. Importing it loads none of them; import the module that you need:

- ``neuron_eval.functional`` the metrics, ``neuron_eval.registry`` the metrics by name
- ``neuron_eval.activations`` recording activations, ``neuron_eval.arrays`` keeping them on disk
- ``neuron_eval.concepts`` concept vectors, ``neuron_eval.explainers`` explanations
- ``neuron_eval.sanity`` and ``neuron_eval.meta`` evaluating the metrics themselves
"""
