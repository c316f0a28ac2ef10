"""Logical explanations: concepts joined by AND, OR and NOT, evaluated from left to right."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from neuron_eval.validation import InputError, check_concepts

#: What joins two literals.
OPERATORS = ("and", "or")

# "(", ")", a quoted text in which \ escapes, or a word.
_TOKEN = re.compile(r'\s*(?:([()])|"((?:[^"\\]|\\.)*)"|([^\s()"]+))', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True)
class Literal:
    """A concept of a formula, or its negation.

    Attributes
    ----------
    concept : int
        Column of the concept matrix.
    negated : bool, default False
        Whether the concept must be absent.
    """

    concept: int
    negated: bool = False


@dataclass(frozen=True)
class Formula:
    """A chain of literals, joined from left to right.

    ``Formula((Literal(0), Literal(3, True), Literal(2)), ("and", "or"))`` is
    (concept 0 AND NOT concept 3) OR concept 2.

    Attributes
    ----------
    literals : tuple of Literal
        At least one.
    operators : tuple of {"and", "or"}
        What joins each literal after the first to everything before it.

    Raises
    ------
    InputError
        If there is no literal, a concept is negative, an operator is unknown, or their numbers
        do not fit together.
    """

    literals: tuple[Literal, ...]
    operators: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.operators) != len(self.literals) - 1:
            raise InputError(
                f"formula: found {len(self.literals)} literals and {len(self.operators)} "
                "operators, expected at least one literal and one operator between any two."
            )
        for operator in self.operators:
            if operator not in OPERATORS:
                raise InputError(f"formula: found operator {operator!r}, expected 'and' or 'or'.")
        for literal in self.literals:
            if literal.concept < 0:
                raise InputError(
                    f"formula: found concept {literal.concept}, expected a column from 0."
                )

    @property
    def length(self) -> int:
        """Number of literals."""
        return len(self.literals)

    def text(self, texts: Sequence[str]) -> str:
        """Write the formula for a person.

        Parameters
        ----------
        texts : sequence of str
            Text of every concept.

        Returns
        -------
        str
            Like ``(tabby cat AND NOT snow) OR grass``: whatever is evaluated before a different
            operator stands in parentheses. A text that could be taken for a part of the formula
            (it has the word and, or, or not, in any case, a parenthesis, a quotation mark, or
            space that is not one blank between words) stands in quotation marks.

        Raises
        ------
        InputError
            If a concept has no text.
        """
        written = self._literal_text(self.literals[0], texts)
        before = self.operators[:1] + self.operators
        for previous, operator, literal in zip(
            before, self.operators, self.literals[1:], strict=False
        ):
            group = written if operator == previous else f"({written})"
            written = f"{group} {operator.upper()} {self._literal_text(literal, texts)}"
        return written

    def evaluate(self, concepts: Any) -> npt.NDArray[np.float64]:
        """Evaluate the formula on every input.

        Parameters
        ----------
        concepts : array-like, shape (n_inputs, n_concepts)
            Concept vectors, in [0, 1].

        Returns
        -------
        ndarray, shape (n_inputs,), float64
            P(formula holds), in [0, 1].

        Raises
        ------
        InputError
            If the concept vectors are invalid or a concept has no column.

        Notes
        -----
        On concept vectors of 0 and 1 this is the truth table. On probabilities the literals are
        taken as independent: NOT c is 1 - c, a AND b is a b, a OR b is a + b - a b. A concept
        that stands in a formula twice is treated as independent of itself.
        """
        return evaluate_columns(self, check_concepts(concepts, dtype=None))

    @staticmethod
    def _literal_text(literal: Literal, texts: Sequence[str]) -> str:
        if literal.concept >= len(texts):
            raise InputError(
                f"texts: found {len(texts)} texts, expected one for concept {literal.concept} "
                "of the formula too."
            )
        text = _quoted(texts[literal.concept])
        return f"NOT {text}" if literal.negated else text


def evaluate_columns(formula: Formula, vectors: torch.Tensor) -> npt.NDArray[np.float64]:
    """Evaluate a formula on concept vectors that have been checked already.

    Parameters
    ----------
    formula : Formula
        The formula.
    vectors : Tensor, shape (n_inputs, n_concepts)
        Concept vectors in [0, 1], of any type.

    Returns
    -------
    ndarray, shape (n_inputs,), float64
        See `Formula.evaluate`.

    Raises
    ------
    InputError
        If a concept has no column.
    """
    value = _literal_values(formula.literals[0], vectors)
    for operator, literal in zip(formula.operators, formula.literals[1:], strict=True):
        other = _literal_values(literal, vectors)
        # 1 - (1 - a)(1 - b) is a + b - ab, and stays in [0, 1] under rounding.
        value = value * other if operator == "and" else 1 - (1 - value) * (1 - other)
    return value


def parse_formula(text: str, texts: Sequence[str]) -> Formula:
    """Read a formula as `Formula.text` writes it.

    Parameters
    ----------
    text : str
        The formula. AND, OR and NOT are written in capitals.
    texts : sequence of str
        Text of every concept.

    Returns
    -------
    Formula
        The formula.

    Raises
    ------
    InputError
        If the text is no chain from left to right, mixes AND and OR without parentheses, or
        names a text that is not among the concepts or is there twice.
    """
    return _Parser(text, texts).formula()


def _literal_values(literal: Literal, vectors: torch.Tensor) -> npt.NDArray[np.float64]:
    if literal.concept >= vectors.shape[1]:
        raise InputError(
            f"formula: found concept {literal.concept}, expected 0 to {vectors.shape[1] - 1}."
        )
    column: npt.NDArray[np.float64] = (
        vectors[:, literal.concept].to(torch.float64, copy=True).cpu().numpy()
    )
    return 1 - column if literal.negated else column


def _quoted(text: str) -> str:
    words = text.split()
    plain = (
        words
        and text == " ".join(words)
        and not any(mark in text for mark in '()"')
        and not any(word.casefold() in ("and", "or", "not") for word in words)
    )
    if plain:
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _tokens(text: str) -> list[tuple[str, str]]:
    """Split a formula into (kind, text): mark, operator, not, or concept."""
    found: list[tuple[str, str]] = []
    position = 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if match is None:
            raise InputError(
                f"formula: found {text[position:].strip()[:20]!r} in {text!r}, expected a closing "
                "quotation mark."
            )
        position = match.end()
        mark, quoted, word = match.groups()
        if mark:
            found.append(("mark", mark))
        elif quoted is not None:
            found.append(("quoted", _ESCAPED.sub(r"\1", quoted)))
        elif word in ("AND", "OR", "NOT"):
            found.append(("operator" if word != "NOT" else "not", word.lower()))
        elif found and found[-1][0] == "word":
            found[-1] = ("word", f"{found[-1][1]} {word}")
        else:
            found.append(("word", word))
    return found


class _Parser:
    """One pass over the tokens: parentheses open before the first literal and close later."""

    def __init__(self, text: str, texts: Sequence[str]) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.columns = {concept: column for column, concept in enumerate(texts)}
        self.repeated = {concept for concept, count in Counter(texts).items() if count > 1}

    def formula(self) -> Formula:
        depth = 0
        while self._next_is("mark", "("):
            self.tokens.pop(0)
            depth += 1
        literals, operators = [self._literal()], list[str]()
        level: str | None = None  # the operator of this level of parentheses
        while self.tokens:
            kind, value = self.tokens.pop(0)
            if (kind, value) == ("mark", ")") and depth:
                depth, level = depth - 1, None
                continue
            if kind != "operator":
                raise self._error(f"found {value!r}", "AND, OR or the end")
            if level not in (None, value):
                raise self._error(
                    "found AND beside OR", "parentheses around what is evaluated first"
                )
            level = value
            operators.append(value)
            literals.append(self._literal())
        if depth:
            raise self._error("found a parenthesis that is not closed", "')'")
        return Formula(tuple(literals), tuple(operators))

    def _literal(self) -> Literal:
        negated = self._next_is("not")
        if negated:
            self.tokens.pop(0)
        if self._next_is("mark", "("):
            raise self._error(
                "found '(' after the first concept",
                "a concept; a formula is evaluated from left to right, so a group comes first",
            )
        if not self.tokens or self.tokens[0][0] not in ("word", "quoted"):
            raise self._error(f"found {self.tokens[0][1]!r}" if self.tokens else "found the end")
        concept = self.tokens.pop(0)[1]
        if concept in self.repeated:
            raise self._error(f"found {concept!r}, which is the text of two concepts", "one")
        if concept not in self.columns:
            raise self._error(f"found {concept!r}", "the text of a concept")
        return Literal(self.columns[concept], negated)

    def _next_is(self, kind: str, value: str | None = None) -> bool:
        if not self.tokens or self.tokens[0][0] != kind:
            return False
        return value in (None, self.tokens[0][1])

    def _error(self, found: str, expected: str = "a concept") -> InputError:
        return InputError(f"formula: {found} in {self.text!r}, expected {expected}.")
