"""The command ``neuron-estimate``.

A module a command; ``app`` puts them together. Heavy imports happen inside commands, so that help
and wrong options answer at once.
"""
