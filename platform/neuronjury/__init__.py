"""Settings, URLs and servers of the Neuron Jury web app."""
