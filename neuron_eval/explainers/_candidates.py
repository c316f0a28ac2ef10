"""What a search for formulas is told, and the candidates that it compares."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from neuron_eval.formulas import Formula, Literal
from neuron_eval.validation import InputError

OPERATORS = ("and", "or", "not")

#: Share of the total weight by which weights must differ not to be the same: the products round.
SAME = 1e-11


@dataclass(frozen=True)
class Objective:
    """What a formula is scored by.

    Attributes
    ----------
    measure : callable
        From rows of activations (neurons, n_inputs) to the number per input that is summed over
        a set, float64 of the same shape, sample weights included.
    score : callable
        From the sum over the set, the weight of the set, the sum over all inputs and the weight
        of all inputs to the score, NaN where it is undefined; the arguments broadcast.
    live : callable
        From the same rows and their measure to whether each neuron can be explained.
    """

    measure: Callable[[Tensor], Tensor]
    score: Callable[[Tensor, Tensor, Tensor, float], Tensor]
    live: Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Beam:
    """How to search.

    Attributes
    ----------
    max_length : int
        Most literals of a formula.
    width : int
        Formulas of each length and last operator that are extended.
    operators : sequence of {"and", "or", "not"}
        What formulas may be built with.
    formula_bounds : (float, float), default (0.0, 1.0)
        Least and greatest share of the weight on which a formula of two or more literals holds
        that is an explanation.
    concept_bounds : (float, float), default (0.0, 1.0)
        The same for a single concept.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    max_length: int
    width: int
    operators: Sequence[str] = OPERATORS
    formula_bounds: tuple[float, float] = (0.0, 1.0)
    concept_bounds: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        for name, value in (("max_length", self.max_length), ("beam_width", self.width)):
            if not value >= 1:
                raise InputError(f"{name}: found {value!r}, expected at least 1.")
        for operator in self.operators:
            if operator not in OPERATORS:
                raise InputError(
                    f"operators: found {operator!r}, expected some of 'and', 'or' and 'not'."
                )
        if not self.joins and self.max_length > 1:
            raise InputError(
                f"operators: found {tuple(self.operators)!r} with max_length={self.max_length}, "
                "expected 'and' or 'or' to join concepts with."
            )
        least, most = self.formula_bounds
        if not 0 <= least <= most <= 1:
            raise InputError(
                f"min_fraction, max_fraction: found {least!r} and {most!r}, expected "
                "0 <= min_fraction <= max_fraction <= 1."
            )

    @property
    def step_bounds(self) -> tuple[float, float]:
        """The same for formulas on the way to an explanation, with the same room at both ends."""
        least, most = self.formula_bounds
        return least, max(most, 1 - least)

    @property
    def joins(self) -> tuple[str, ...]:
        """The operators between two literals."""
        return tuple(operator for operator in ("and", "or") if operator in self.operators)

    @property
    def signs(self) -> tuple[bool, ...]:
        """Whether a literal may be negated: (False,) or (False, True)."""
        return (False, True) if "not" in self.operators else (False,)


@dataclass(frozen=True)
class Candidate:
    """A formula of one neuron.

    Attributes
    ----------
    score : float
        Its score, rounded, so that ties are ties.
    formula : Formula
        The formula, `ordered`.
    """

    score: float
    formula: Formula

    @property
    def order(self) -> tuple[object, ...]:
        """The better, the less: by score, then length, then concepts."""
        literals = self.formula.literals
        return (
            -self.score,
            len(literals),
            tuple(literal.concept for literal in literals),
            tuple(literal.negated for literal in literals),
            self.formula.operators,
        )


@dataclass(frozen=True)
class Extension:
    """A way to put one more literal into a formula, the parent.

    The new formula holds where it does whatever the literal is, and where the literal holds on
    the inputs on which it decides.

    Attributes
    ----------
    parent : int
        Number of the parent in its beam.
    row : int
        Row of the set on which the literal decides, or, of an OR at the end, of its complement.
    kind : {"and", "or", "inner and", "inner or"}
        The operator of the literal: at the end, or within, joined with the first literal only.
    literals, operators : tuple
        The new formula without the literal, and with its operator.
    place : int
        Where the literal goes.
    """

    parent: int
    row: int
    kind: str
    literals: tuple[Literal, ...]
    operators: tuple[str, ...]
    place: int

    def formula(self, literal: Literal) -> Formula:
        """Put a literal in; the result is `ordered`."""
        literals = (*self.literals[: self.place], literal, *self.literals[self.place :])
        return ordered(Formula(literals, self.operators))


def ordered(formula: Formula) -> Formula:
    """Sort the literals that one operator joins: plain ones first, then by concept.

    Parameters
    ----------
    formula : Formula
        A formula.

    Returns
    -------
    Formula
        An equivalent formula, the same for all orders of writing it.
    """
    literals: list[Literal] = []
    run = [formula.literals[0]]
    operators = formula.operators
    for place, literal in enumerate(formula.literals[1:]):
        if place and operators[place] != operators[place - 1]:
            literals += sorted(run, key=lambda each: (each.negated, each.concept))
            run = []
        run.append(literal)
    literals += sorted(run, key=lambda each: (each.negated, each.concept))
    return Formula(tuple(literals), operators)


@dataclass
class Kept:
    """Formulas of one length of one neuron, and the sets of inputs on which they hold.

    Attributes
    ----------
    candidates : list of Candidate
        The formulas.
    sets : list of Tensor, shape (n_inputs,), bool
        Where they hold.
    """

    candidates: list[Candidate] = field(default_factory=list)
    sets: list[Tensor] = field(default_factory=list)

    def __iadd__(self, other: "Kept") -> "Kept":
        self.candidates += other.candidates
        self.sets += other.sets
        return self

    def first(self, count: int) -> "Kept":
        """Return the best of them, in order."""
        chosen = sorted(range(len(self.sets)), key=lambda k: self.candidates[k].order)[:count]
        return Kept([self.candidates[k] for k in chosen], [self.sets[k] for k in chosen])


def repeats(candidate: Candidate, members: Tensor, known: Sequence[Kept]) -> bool:
    """Say whether a formula holds on the same inputs as one that is known.

    Parameters
    ----------
    candidate : Candidate
        The formula.
    members : Tensor, shape (n_inputs,), bool
        Where it holds.
    known : sequence of Kept
        What is known.

    Returns
    -------
    bool
        Whether it repeats one of them. Only those of the same score are compared.
    """
    return any(
        other.score == candidate.score and torch.equal(other_members, members)
        for kept in known
        for other, other_members in zip(kept.candidates, kept.sets, strict=True)
    )
