"""Simulation laboratory: methods beside each other, at every budget, where the truth is known.

- ``pairs``, ``cifar10h``     (neuron, concept) pairs: recipes of simulated and of real ones
- ``rating_source``           raters who give one more rating of any item on demand
- ``settings``                what is compared in: pairs, raters, what methods are told of them
- ``methods``                 the table of methods
- ``curves``                  runs all of it in parallel; error, coverage, width at each budget
- ``savings``                 ratings needed for an error, and savings, with intervals
- ``ordering``                how often two explanations are put in the right order
- ``figures``, ``report``     the paper's two figures, the cost curve, tables for people
"""
