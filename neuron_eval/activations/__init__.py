"""Record the activations of any torch module, several layers in one pass.

Layers are named as in ``model.named_modules()``, for example ``"layer4.1.conv2"``; names are
looked up, never evaluated. ``"output"`` is the output of the model itself. `layer_names` lists
them all. `neuron_eval.recording` records to files.
"""

from neuron_eval.activations.devices import in_evaluation_mode, on_device
from neuron_eval.activations.layers import MODEL_OUTPUT, find_layer, layer_list, layer_names
from neuron_eval.activations.options import Pool, RecordingError, Repeated, Units
from neuron_eval.activations.record import pooled_batches, record_activations
from neuron_eval.activations.tokens import flatten_tokens
from neuron_eval.batches import Batch, Data

__all__ = [
    "MODEL_OUTPUT",
    "Batch",
    "Data",
    "Pool",
    "RecordingError",
    "Repeated",
    "Units",
    "find_layer",
    "flatten_tokens",
    "in_evaluation_mode",
    "layer_list",
    "layer_names",
    "on_device",
    "pooled_batches",
    "record_activations",
]
