"""Beam search for logical formulas, for a block of neurons at once.

A score must need no more of a set S of inputs than its weight and the sum over S of one number
per input (weighted ranks for the AUROC, the active weight for the IoU). Then the sets of all
extensions of a formula by one literal need no more than two matrix products with the concepts:
S AND c directly, NOT c by complement, S OR c by inclusion and exclusion.

The search goes beyond the plain one in two ways, without which it misses nearly all formulas of
mixed operators. A literal may also be joined with one inside a formula: "a AND b" becomes
"(a OR c) AND b". And every formula of the beam leaves its best extension by AND and its best by
OR before any leaves a second one: else the beam fills with near copies of the best formula, such
as its conjunctions with the negations of rare concepts.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from neuron_eval.explainers._candidates import (
    SAME,
    Beam,
    Candidate,
    Extension,
    Kept,
    Objective,
    repeats,
)
from neuron_eval.explainers._concept_sets import ConceptSets
from neuron_eval.explanations import Explanation, Term
from neuron_eval.formulas import Formula, Literal
from neuron_eval.functional._columns import Scored, rows_of
from neuron_eval.validation import InputError

# Scores that differ by less are tied: weighted sums differ by their order.
_DECIMALS = 12
# float64 arrays of (neurons, beam, concepts) that extending holds at a time.
_EXTENDING_COPIES = 12

Found = tuple[Candidate, Tensor]

# A concept by itself, as the extension of nothing.
_CONCEPT = [Extension(-1, -1, "and", (), (), 0)]


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
    concepts = ConceptSets(scored, present, memory_budget)
    n_inputs, n_concepts = scored.concepts.shape
    n_parents = beam.width * len(beam.joins)
    per_neuron = 8 * n_inputs * 6
    if beam.max_length > 1:
        per_neuron += n_inputs * n_parents * (beam.max_length + 3)
        per_neuron += 8 * n_concepts * n_parents * (beam.max_length + 1) * _EXTENDING_COPIES
    copies = math.ceil(per_neuron / (8 * n_inputs))
    weight = torch.ones(1, n_inputs, dtype=torch.float64, device=scored.activations.device)
    if scored.weights is not None:
        weight = scored.weights[None]
    [concept_mass] = concepts.products(lambda piece: [weight[:, piece]], 1)
    explanations = []
    for columns, rows in rows_of(scored.activations, max(1, memory_budget // 2), copies):
        measure = objective.measure(rows)
        live = objective.live(rows, measure).tolist()
        block = _Block(concepts, objective, beam, measure, concept_mass[0, :-1])
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
        concepts: ConceptSets,
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
        self.total_mass = concepts.scored.total
        self.same = SAME * self.total_mass
        self.concept_mass = concept_mass
        [sums] = concepts.products(lambda piece: [measure[:, piece]], len(measure))
        self.concept_sum, self.total = sums[:, :-1], sums[:, -1]

    def explain(self, live: Sequence[bool]) -> list[Explanation]:
        mass = self.concept_mass.expand_as(self.concept_sum)
        scores = self._score(self.concept_sum, mass, self.total[:, None])
        best = [
            found if lives else None
            for found, lives in zip(self._best_concepts(scores), live, strict=True)
        ]
        if self.beam.max_length > 1:
            self._search(scores, best, [neuron for neuron, lives in enumerate(live) if lives])
        return [self._explanation(neuron, found) for neuron, found in enumerate(best)]

    def _search(self, scores: Tensor, best: list[Found | None], neurons: list[int]) -> None:
        """Improve on the best concepts by longer formulas, in place."""
        history: dict[int, list[Kept]] = {}
        for neuron in neurons:
            row = scores[neuron][None, None]
            history[neuron] = [self._keep(row, _CONCEPT, self.beam.width, [])]
        for length in range(2, self.beam.max_length + 1):
            history = {neuron: kept for neuron, kept in history.items() if kept[-1].candidates}
            if not history:
                return
            for neuron, extensions, allowed, answers in self._extended(history):
                answer = self._keep(answers, extensions, 1, history[neuron])
                before = best[neuron]
                for found in zip(answer.candidates, answer.sets, strict=True):
                    if before is None or found[0].order < before[0].order:
                        best[neuron] = found
                if length < self.beam.max_length:
                    history[neuron].append(self._next_beam(allowed, extensions, history[neuron]))

    def _next_beam(
        self, scores: Tensor, extensions: Sequence[Extension], history: list[Kept]
    ) -> Kept:
        """Choose what is extended next: of every parent the best by AND and by OR, then others."""
        beam = Kept()
        for join in self.beam.joins:
            mine = [e for e, made in enumerate(extensions) if made.operators[-1] == join]
            firsts = Kept()
            for parent in dict.fromkeys(extensions[e].parent for e in mine):
                own = [e for e in mine if extensions[e].parent == parent]
                known = [*history, beam, firsts]
                firsts += self._keep(scores[own], [extensions[e] for e in own], 1, known)
            firsts = firsts.first(self.beam.width)
            room = self.beam.width - len(firsts.candidates)
            known = [*history, beam, firsts]
            beam += firsts
            beam += self._keep(scores[mine], [extensions[e] for e in mine], room, known)
        return beam

    def _score(self, inside: Tensor, mass: Tensor, total: Tensor) -> Tensor:
        """Score sets; minus infinity where one is empty or has no score."""
        scores = self.objective.score(inside, mass, total, self.total_mass)
        defined = (mass > self.same) & ~torch.isnan(scores)
        return torch.where(defined, torch.round(scores, decimals=_DECIMALS), -torch.inf)

    def _within(self, mass: Tensor, bounds: tuple[float, float]) -> Tensor:
        least, most = (bound * self.total_mass for bound in bounds)
        return (mass >= least - self.same) & (mass <= most + self.same)

    def _best_concepts(self, scores: Tensor) -> list[Found | None]:
        allowed = self._within(self.concept_mass, self.beam.concept_bounds)
        plain = torch.where(allowed, scores, -torch.inf)
        # The first among equals: argmax promises it on no device.
        first = (plain == plain.amax(dim=1, keepdim=True)).to(torch.uint8).argmax(dim=1)
        found: list[Found | None] = []
        for row, concept in zip(plain, first.tolist(), strict=True):
            literal = Literal(concept)
            candidate = Candidate(float(row[concept]), Formula((literal,)))
            defined = candidate.score > -torch.inf
            found.append((candidate, self.concepts.holds(literal)) if defined else None)
        return found

    def _extended(
        self, history: dict[int, list[Kept]]
    ) -> Iterator[tuple[int, list[Extension], Tensor, Tensor]]:
        """Score all extensions of the last beams.

        Yields
        ------
        int
            A neuron.
        list of Extension
            Its extensions.
        Tensor, shape (extensions, signs, concepts)
            Their scores, minus infinity where the beam may not hold the formula.
        Tensor
            The same where it may not be an explanation.
        """
        sets: list[Tensor] = []
        owners: list[int] = []
        extensions: dict[int, list[Extension]] = {}
        for neuron, kept in history.items():
            extensions[neuron] = self._extensions(kept[-1], sets)
            owners += [neuron] * (len(sets) - len(owners))
        rows, owner = torch.stack(sets), torch.tensor(owners, device=self.measure.device)

        def left(piece: slice) -> list[Tensor]:
            members = rows[:, piece]
            measured = members * self.measure[:, piece][owner]
            if self.weights is not None:
                return [members * self.weights[piece], measured]
            # Counts below 2^24 are exact in single precision, and twice as fast.
            exact = torch.float32 if rows.shape[1] < 1 << 24 else torch.float64
            return [members.to(exact), measured]

        products = self.concepts.products(left, len(rows))
        for neuron, made in extensions.items():
            allowed, answers = self._extension_scores(neuron, made, products)
            for place, extension in enumerate(made):
                used = [literal.concept for literal in extension.literals]
                allowed[place, :, used] = -torch.inf
                answers[place, :, used] = -torch.inf
            yield neuron, made, allowed, answers

    def _extensions(self, kept: Kept, sets: list[Tensor]) -> list[Extension]:
        """List the extensions of a beam, and add the sets on which they depend."""
        made = []
        for parent, (candidate, members) in enumerate(zip(kept.candidates, kept.sets, strict=True)):
            literals, operators = candidate.formula.literals, candidate.formula.operators
            made += [
                Extension(parent, len(sets), join, literals, (*operators, join), len(literals))
                for join in self.beam.joins
            ]
            sets.append(members)
            if not operators or len(self.beam.joins) < 2:
                continue
            other = "or" if operators[0] == "and" else "and"
            run = next((k for k, join in enumerate(operators) if join == other), len(operators))
            for place in range(run + 1):
                rest = (*literals[:place], *literals[place + 1 :])
                without = self._members(Formula(rest, operators[1:]))
                chain = (literals[place], *rest)
                kind = f"inner {other}"
                made.append(Extension(parent, len(sets), kind, chain, (other, *operators), 1))
                sets.append(without ^ members)
        return made

    def _extension_scores(
        self, neuron: int, extensions: list[Extension], products: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Score the extensions of a neuron: what is fixed, and the literal where it decides."""
        device = self.measure.device
        rows = torch.tensor([extension.row for extension in extensions], device=device)
        first = {e.parent: e.row for e in reversed(extensions)}
        parents = torch.tensor([first[e.parent] for e in extensions], device=device)
        kinds = [extension.kind for extension in extensions]
        ends_or, inner_and, ends = (
            torch.tensor([kind in chosen for kind in kinds], device=device)[:, None]
            for chosen in (("or",), ("inner and",), ("and", "or"))
        )
        keeps = torch.tensor([kind != "and" for kind in kinds], device=device)[:, None]
        sums = []  # of weights, then of the measure: what is fixed, free, and the literal in it
        for product, concept, total in zip(
            products,
            (self.concept_mass, self.concept_sum[neuron]),
            (self.total.new_tensor(self.total_mass), self.total[neuron]),
            strict=True,
        ):
            free, both = product[rows][:, -1:], product[rows][:, :-1]
            fixed = torch.where(keeps, product[parents][:, -1:], 0.0)
            fixed = torch.where(inner_and, fixed - free, fixed)
            both = torch.where(ends_or, concept - both, both)
            free = torch.where(ends_or, total - free, free)
            sums.append((fixed, free, both))
        scores: list[Tensor] = []
        answers: list[Tensor] = []
        for negated in self.beam.signs:
            mass, inside = (
                fixed + (free - both if negated else both) for fixed, free, both in sums
            )
            fixed, free, _ = sums[0]
            literal = self.total_mass - self.concept_mass if negated else self.concept_mass
            # A set that weighs as much as without the literal or with it everywhere is no news,
            # nor is one that weighs as much as the literal when it lies within it or around it.
            news = ((mass - fixed).abs() > self.same) & ((mass - fixed - free).abs() > self.same)
            news &= ~ends | ((mass - literal).abs() > self.same)
            each = self._score(inside, mass, self.total[neuron])
            for found, bounds in (
                (scores, self.beam.step_bounds),
                (answers, self.beam.formula_bounds),
            ):
                allowed = news & self._within(mass, bounds)
                found.append(torch.where(allowed, each, -torch.inf))
        return torch.stack(scores, dim=1), torch.stack(answers, dim=1)

    def _keep(
        self,
        scores: Tensor,
        extensions: Sequence[Extension],
        width: int,
        history: list[Kept],
    ) -> Kept:
        """Keep the best formulas of one neuron that are no repetition of another.

        `scores` has the shape (extensions, signs, concepts).
        """
        flat = scores.flatten()
        defined = int((flat > -torch.inf).sum())
        wanted = min(defined, 4 * width + 16) if width else 0
        while True:
            kept = Kept()
            if not wanted:
                return kept
            # All that tie with the last are taken, so that their order decides, not topk's.
            taken = (flat >= flat.topk(wanted).values[-1]).nonzero()[:, 0]
            places = (place.tolist() for place in torch.unravel_index(taken, scores.shape))
            candidates = {}
            for score, extension, sign, concept in zip(flat[taken].tolist(), *places, strict=True):
                literal = Literal(concept, self.beam.signs[sign])
                formula = extensions[extension].formula(literal)
                candidates[formula] = Candidate(score, formula)
            for candidate in sorted(candidates.values(), key=lambda each: each.order):
                members = self._members(candidate.formula)
                literals = candidate.formula.literals
                if len(literals) > 1 and any(
                    torch.equal(self.concepts.holds(literal), members) for literal in literals
                ):
                    continue
                if not repeats(candidate, members, [*history, kept]):
                    kept.candidates.append(candidate)
                    kept.sets.append(members)
                    if len(kept.candidates) == width:
                        return kept
            if len(taken) == defined:
                return kept
            wanted = min(defined, 4 * len(taken))

    def _members(self, formula: Formula) -> Tensor:
        members = self.concepts.holds(formula.literals[0])
        for operator, literal in zip(formula.operators, formula.literals[1:], strict=True):
            other = self.concepts.holds(literal)
            members = members & other if operator == "and" else members | other
        return members

    def _explanation(self, neuron: int, found: Found | None) -> Explanation:
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
