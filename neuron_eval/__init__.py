"""The metric core: how well an explanation describes a neuron.

Activations (n_inputs, n_neurons) and concepts (n_inputs, n_concepts) go in, scores
(n_neurons, n_concepts) come out. The package needs torch, numpy, pandas, scipy and scikit-learn,
and nothing of the web. Importing it loads none of them; import the module that you need:

- activations: ``activations`` records them, ``recording`` to files, ``encoding`` runs encoders;
  ``vision``, ``weight_files``, ``datasets``, ``image_datasets`` and ``batches`` say of what
- concept vectors: ``concepts``, ``class_labels``, ``hierarchy``; of image-text models in
  ``image_text`` and its parts; ``calibration`` and ``calibration_curves``
- scores: ``functional`` the metrics, ``registry`` the metrics by name, ``metric_checks`` for one's
  own, ``binarize``, ``scoring`` with several at once, ``agreement``
- explanations: ``explainers`` make them, ``formulas``, ``explanations``, ``explanation_files``
- judging the metrics themselves: ``sanity``, ``meta``, ``tuning``
- files: ``arrays`` and ``row_files``; ``matrix_files``, made of ``matrices``, ``array_files``,
  ``tables`` and ``text_files``; ``pairs``
- pictures: ``plots``; the command: ``cli``
"""
