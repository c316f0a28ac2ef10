"""The command ``neuron-eval``: score, sanity, meta, record, explain and more, from the shell.

One module per command; each parses, calls the library, and prints. Nothing is computed here. Heavy
imports (torch) are made inside the commands, so that ``--help`` answers at once.
"""
