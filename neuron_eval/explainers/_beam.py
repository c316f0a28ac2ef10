"""Beam search for logical formulas, for a block of neurons at once.

A score must need no more of a set S of inputs than its weight and the sum over S of one number
per input (weighted ranks for the AUROC, the active weight for the IoU). Then the sets of all
extensions of a formula by one literal need no more than two matrix products with the concepts:
S AND c directly, NOT c by complement, S OR c by inclusion and exclusion.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from neuron_eval.explanations import Explanation, Term
from neuron_eval.formulas import Formula, Literal
from neuron_eval.functional._columns import Scored, rows_of
from neuron_eval.validation import InputError

OPERATORS = ("and", "or", "not")

# Scores that differ by less are tied: weighted sums differ by their order.
_DECIMALS = 12
#: Share of the total weight by which weights must differ not to be the same: the products round.
SAME = 1e-11
# float64 arrays of (neurons, beam, concepts) that extending holds at a time.
_EXTENDING_COPIES = 12


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
        Formulas of each length that are extended.
    operators : sequence of {"and", "or", "not"}
        What formulas may be built with.
    formula_bounds : (float, float), default (0.0, 1.0)
        Least and greatest share of the weight on which a formula of two or more literals holds.
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
    def joins(self) -> tuple[str, ...]:
        """The operators between two literals."""
        return tuple(operator for operator in ("and", "or") if operator in self.operators)

    @property
    def signs(self) -> tuple[bool, ...]:
        """Whether a literal may be negated: (False,) or (False, True)."""
        return (False, True) if "not" in self.operators else (False,)


@dataclass(frozen=True)
class _Candidate:
    """A formula of one neuron, ordered by score, then length, then concepts."""

    score: float
    formula: Formula

    @property
    def order(self) -> tuple[object, ...]:
        literals = self.formula.literals
        return (
            -self.score,
            len(literals),
            tuple(literal.concept for literal in literals),
            tuple(literal.negated for literal in literals),
            self.formula.operators,
        )


@dataclass
class _Kept:
    """The formulas of one length of one neuron, and the sets of inputs on which they hold."""

    candidates: list[_Candidate] = field(default_factory=list)
    sets: list[Tensor] = field(default_factory=list)


class _Concepts:
    """Binarized concepts, made anew piece by piece: all of them may not fit in memory."""

    def __init__(
        self, scored: Scored, present: Callable[[Tensor], Tensor], memory_budget: int
    ) -> None:
        self.scored = scored
        self.present = present
        self.budget = memory_budget
        self.columns: dict[int, Tensor] = {}
        self.n_columns = max(1, memory_budget // 4 // scored.n_inputs)

    def holds(self, literal: Literal) -> Tensor:
        """Return where a literal holds, shape (n_inputs,), bool."""
        if literal.concept not in self.columns:
            if len(self.columns) >= self.n_columns:
                self.columns.clear()
            self.columns[literal.concept] = self.present(self.scored.concepts[:, literal.concept])
        column = self.columns[literal.concept]
        return ~column if literal.negated else column

    def products(self, left: Callable[[slice], list[Tensor]], n_rows: int) -> list[Tensor]:
        """Multiply matrices (n_rows, n_inputs) by the concepts, a piece of the inputs at a time.

        `left` gives those columns of the matrices that belong to a piece.
        """
        n_inputs, n_concepts = self.scored.concepts.shape
        height = max(1, self.budget // (2 * 8 * (2 * n_concepts + 4 * n_rows)))
        sums: list[Tensor] = []
        for start in range(0, n_inputs, height):
            piece = slice(start, start + height)
            right = self.present(self.scored.concepts[piece]).to(torch.float64)
            matrices = left(piece)
            if not sums:
                sums = [matrix @ right for matrix in matrices]
            else:
                for total, matrix in zip(sums, matrices, strict=True):
                    total.addmm_(matrix, right)
        return sums


def search_formulas(
    scored: Scored,
    objective: Objective,
    beam: Beam,
    present: Callable[[Tensor], Tensor],
    memory_budget: int,
) -> list[Explanation]:
    """Find the formula of the highest score for every neuron.

    Parameters
    ----------
    scored : Scored
        Checked input.
    objective : Objective
        What formulas are scored by.
    beam : Beam
        How to search.
    present : callable
        Binarizes concept vectors.
    memory_budget : int
        Bytes for working copies.

    Returns
    -------
    list of Explanation
        One per neuron: a term where a single concept is best, else a formula, else nothing.

    Raises
    ------
    InputError
        If the memory budget is not positive.
    """
    if memory_budget <= 0:
        raise InputError(
            f"memory_budget: found {memory_budget!r}, expected a positive number of bytes."
        )
    concepts = _Concepts(scored, present, memory_budget)
    n_inputs, n_concepts = scored.concepts.shape
    per_neuron = n_inputs * (8 * 6 + beam.width * (beam.max_length + 1))
    per_neuron += 8 * beam.width * n_concepts * _EXTENDING_COPIES
    copies = math.ceil(per_neuron / (8 * n_inputs))
    weight = torch.ones(1, n_inputs, dtype=torch.float64, device=scored.activations.device)
    if scored.weights is not None:
        weight = scored.weights[None]
    [concept_mass] = concepts.products(lambda piece: [weight[:, piece]], 1)
    explanations = []
    for columns, rows in rows_of(scored.activations, max(1, memory_budget // 2), copies):
        measure = objective.measure(rows)
        live = objective.live(rows, measure).tolist()
        block = _Block(concepts, objective, beam, measure, concept_mass[0])
        explanations += [
            replace(explanation, unit=unit)
            for unit, explanation in zip(
                range(scored.activations.shape[1])[columns], block.explain(live), strict=True
            )
        ]
    return explanations


class _Block:
    """The search for one block of neurons."""

    def __init__(
        self,
        concepts: _Concepts,
        objective: Objective,
        beam: Beam,
        measure: Tensor,
        concept_mass: Tensor,
    ) -> None:
        self.concepts = concepts
        self.weights = concepts.scored.weights
        self.objective = objective
        self.beam = beam
        self.measure = measure
        self.total = measure.sum(dim=1)
        self.total_mass = concepts.scored.total
        self.same = SAME * self.total_mass
        self.concept_mass = concept_mass
        [self.concept_sum] = concepts.products(lambda piece: [measure[:, piece]], len(measure))

    def explain(self, live: Sequence[bool]) -> list[Explanation]:
        n_neurons = len(self.measure)
        best: list[tuple[_Candidate, Tensor] | None] = [None] * n_neurons
        history: list[list[_Kept]] = [[] for _ in range(n_neurons)]
        for length in range(1, self.beam.max_length + 1):
            scores = self._literal_scores() if length == 1 else self._extension_scores(history)
            scores[~torch.tensor(live, device=scores.device)] = -torch.inf
            if length == 1:
                best = self._best_concepts(scores)
                if self.beam.max_length == 1:
                    break
            for neuron, kept in enumerate(self._select(scores, history)):
                history[neuron].append(kept)
                if length == 1 or not kept.candidates:
                    continue
                found = (kept.candidates[0], kept.sets[0])
                if best[neuron] is None or found[0].order < best[neuron][0].order:  # type: ignore[index]
                    best[neuron] = found
        return [self._explanation(neuron, found) for neuron, found in enumerate(best)]

    def _literal_scores(self) -> Tensor:
        """Score the literals, shape (neurons, signs, concepts); minus infinity where undefined."""
        scores = []
        for negated in self.beam.signs:
            mass, inside = self.concept_mass, self.concept_sum
            if negated:
                mass, inside = self.total_mass - mass, self.total[:, None] - inside
            scores.append(self._score(inside, mass.expand_as(inside), self.total[:, None]))
        return torch.stack(scores, dim=1)

    def _score(self, inside: Tensor, mass: Tensor, total: Tensor) -> Tensor:
        """Score sets; minus infinity where one is empty or has no score."""
        scores = self.objective.score(inside, mass, total, self.total_mass)
        defined = (mass > self.same) & ~torch.isnan(scores)
        return torch.where(defined, torch.round(scores, decimals=_DECIMALS), -torch.inf)

    def _within(self, mass: Tensor, bounds: tuple[float, float]) -> Tensor:
        least, most = (bound * self.total_mass for bound in bounds)
        return (mass >= least - self.same) & (mass <= most + self.same)

    def _best_concepts(self, scores: Tensor) -> list[tuple[_Candidate, Tensor] | None]:
        allowed = self._within(self.concept_mass, self.beam.concept_bounds)
        plain = torch.where(allowed, scores[:, 0], -torch.inf)
        # The first among equals: argmax promises it on no device.
        first = (plain == plain.amax(dim=1, keepdim=True)).to(torch.uint8).argmax(dim=1)
        found: list[tuple[_Candidate, Tensor] | None] = []
        for row, concept in zip(plain, first.tolist(), strict=True):
            literal = Literal(concept)
            candidate = _Candidate(float(row[concept]), Formula((literal,)))
            defined = candidate.score > -torch.inf
            found.append((candidate, self.concepts.holds(literal)) if defined else None)
        return found

    def _extension_scores(self, history: list[list[_Kept]]) -> Tensor:
        """Score all extensions, shape (neurons, beam, joins, signs, concepts)."""
        n_neurons, n_inputs = self.measure.shape
        width = max(1, *(len(kept[-1].candidates) for kept in history))
        sets = torch.zeros(
            (n_neurons, width, n_inputs), dtype=torch.bool, device=self.measure.device
        )
        for neuron, kept in enumerate(history):
            for place, members in enumerate(kept[-1].sets):
                sets[neuron, place] = members

        def left(piece: slice) -> list[Tensor]:
            members = sets[:, :, piece].to(torch.float64)
            measured = (members * self.measure[:, None, piece]).flatten(0, 1)
            if self.weights is not None:
                members *= self.weights[piece]
            return [members.flatten(0, 1), measured]

        flat = sets.flatten(0, 1)
        mass = flat.sum(dim=1, dtype=torch.float64)
        if self.weights is not None:
            mass = torch.stack([self.weights[members].sum() for members in flat])
        inside = torch.stack(
            [
                self.measure[neuron, members].sum()
                for neuron, beam in enumerate(sets)
                for members in beam
            ]
        )
        shape = (n_neurons, width, -1)
        both_mass, both_inside = (
            product.view(shape) for product in self.concepts.products(left, len(flat))
        )
        parents = (mass.view(shape), inside.view(shape))
        scores = torch.empty(
            (n_neurons, width, len(self.beam.joins), len(self.beam.signs), both_mass.shape[-1]),
            dtype=torch.float64,
            device=self.measure.device,
        )
        for place, join in enumerate(self.beam.joins):
            for negated in self.beam.signs:
                scores[:, :, place, int(negated)] = self._joined(
                    join, negated, parents, (both_mass, both_inside)
                )
        for neuron, kept in enumerate(history):
            scores[neuron, len(kept[-1].candidates) :] = -torch.inf
            for place, candidate in enumerate(kept[-1].candidates):
                used = [literal.concept for literal in candidate.formula.literals]
                scores[neuron, place, :, :, used] = -torch.inf
        return scores

    def _joined(
        self,
        join: str,
        negated: bool,
        parents: tuple[Tensor, Tensor],
        both: tuple[Tensor, Tensor],
    ) -> Tensor:
        """Score "parent join literal", shape (neurons, beam, concepts)."""
        (parent_mass, parent_inside), (both_mass, both_inside) = parents, both
        literal_mass, literal_inside = self.concept_mass, self.concept_sum[:, None]
        total = self.total[:, None, None]
        if negated:
            both_mass, both_inside = parent_mass - both_mass, parent_inside - both_inside
            literal_mass, literal_inside = self.total_mass - literal_mass, total - literal_inside
        if join == "and":
            mass, inside = both_mass, both_inside
        else:
            mass = parent_mass + literal_mass - both_mass
            inside = parent_inside + literal_inside - both_inside
        scores = self._score(inside, mass, total)
        allowed = self._within(mass, self.beam.formula_bounds)
        # A joined set that weighs as much as one of its two sides is that side.
        allowed &= (mass - parent_mass).abs() > self.same
        allowed &= (mass - literal_mass).abs() > self.same
        return scores.masked_fill_(~allowed, -torch.inf)

    def _select(self, scores: Tensor, history: list[list[_Kept]]) -> list[_Kept]:
        flat = scores.flatten(1)
        wanted = min(flat.shape[1], 4 * self.beam.width + 16)
        cutoff = flat.topk(wanted, dim=1).values[:, -1:]
        return [
            self._keep(row, float(limit), scores.shape[1:], kept)
            for row, limit, kept in zip(flat, cutoff, history, strict=True)
        ]

    def _keep(
        self, scores: Tensor, cutoff: float, shape: torch.Size, history: list[_Kept]
    ) -> _Kept:
        """Keep the best formulas of one neuron that are no repetition of another."""
        while True:
            # All that tie with the last are taken, so that their order decides, not topk's.
            taken = ((scores >= cutoff) & (scores > -torch.inf)).nonzero()[:, 0]
            places = torch.unravel_index(taken, shape)
            candidates = {
                candidate.formula: candidate
                for candidate in map(
                    lambda score, *place: self._candidate(score, place, history),
                    scores[taken].tolist(),
                    *(place.tolist() for place in places),
                )
            }
            kept = _Kept()
            for candidate in sorted(candidates.values(), key=lambda each: each.order):
                members = self._members(candidate)
                if not self._repeats(candidate, members, [*history, kept]):
                    kept.candidates.append(candidate)
                    kept.sets.append(members)
                    if len(kept.candidates) == self.beam.width:
                        return kept
            if cutoff == -torch.inf or len(taken) == int((scores > -torch.inf).sum()):
                return kept
            cutoff = float(scores.topk(min(len(scores), 4 * len(taken))).values[-1])

    def _candidate(self, score: float, place: tuple[int, ...], history: list[_Kept]) -> _Candidate:
        sign, concept = place[-2:]
        literal = Literal(concept, self.beam.signs[sign])
        if not history:
            return _Candidate(score, Formula((literal,)))
        parent = history[-1].candidates[place[0]].formula
        literals = (*parent.literals, literal)
        operators = (*parent.operators, self.beam.joins[place[1]])
        return _Candidate(score, ordered(Formula(literals, operators)))

    def _members(self, candidate: _Candidate) -> Tensor:
        literals, operators = candidate.formula.literals, candidate.formula.operators
        members = self.concepts.holds(literals[0])
        for operator, literal in zip(operators, literals[1:], strict=True):
            other = self.concepts.holds(literal)
            members = members & other if operator == "and" else members | other
        return members

    @staticmethod
    def _repeats(candidate: _Candidate, members: Tensor, history: list[_Kept]) -> bool:
        return any(
            other.score == candidate.score and torch.equal(other_members, members)
            for kept in history
            for other, other_members in zip(kept.candidates, kept.sets, strict=True)
        )

    def _explanation(self, neuron: int, found: tuple[_Candidate, Tensor] | None) -> Explanation:
        if found is None:
            return Explanation(neuron, ())
        candidate, members = found
        mass = members.sum() if self.weights is None else self.weights[members].sum()
        score = self.objective.score(
            self.measure[neuron, members].sum(),
            mass.to(torch.float64),
            self.total[neuron],
            self.total_mass,
        )
        literals = candidate.formula.literals
        if len(literals) == 1:
            return Explanation(neuron, (Term(literals[0].concept),), score=float(score))
        return Explanation(neuron, (), score=float(score), formula=candidate.formula)


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
