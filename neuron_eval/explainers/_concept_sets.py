"""Where concepts are present, and sums over the inputs on which they are."""

from collections.abc import Callable

import torch
from torch import Tensor

from neuron_eval.formulas import Literal
from neuron_eval.functional._columns import Scored


class ConceptSets:
    """The inputs on which concepts are present, made anew piece by piece to save memory.

    Parameters
    ----------
    scored : Scored
        Checked input.
    present : callable
        Binarizes concept vectors.
    memory_budget : int
        Bytes for working copies.
    """

    def __init__(
        self, scored: Scored, present: Callable[[Tensor], Tensor], memory_budget: int
    ) -> None:
        self.scored = scored
        self.present = present
        self.budget = memory_budget
        self.columns: dict[int, Tensor] = {}
        self.n_columns = max(1, memory_budget // 4 // scored.n_inputs)

    def holds(self, literal: Literal) -> Tensor:
        """Say where a literal holds.

        Parameters
        ----------
        literal : Literal
            The literal.

        Returns
        -------
        Tensor, shape (n_inputs,), bool
            Where it holds.
        """
        if literal.concept not in self.columns:
            if len(self.columns) >= self.n_columns:
                self.columns.clear()
            self.columns[literal.concept] = self.present(self.scored.concepts[:, literal.concept])
        column = self.columns[literal.concept]
        return ~column if literal.negated else column

    def products(self, left: Callable[[slice], list[Tensor]], n_rows: int) -> list[Tensor]:
        """Multiply matrices by the concepts, a piece of the inputs at a time.

        Parameters
        ----------
        left : callable
            From a piece of the inputs to those columns of the matrices (n_rows, n_inputs), all
            of the same number of rows.
        n_rows : int
            That number.

        Returns
        -------
        list of Tensor, shape (n_rows, n_concepts + 1), float64
            The products with the concepts, as 0 and 1, and in the last column the sums over all
            inputs.
        """
        n_inputs, n_concepts = self.scored.concepts.shape
        height = max(1, self.budget // (2 * 8 * (2 * n_concepts + 4 * n_rows)))
        sums: list[Tensor] = []
        for start in range(0, n_inputs, height):
            piece = slice(start, start + height)
            values = self.scored.concepts[piece]
            right = values.new_ones((len(values), n_concepts + 1), dtype=torch.float64)
            right[:, :-1] = self.present(values)
            matrices = left(piece)
            if not sums:
                sums = [matrix.new_zeros((n_rows, n_concepts + 1)) for matrix in matrices]
            for total, matrix in zip(sums, matrices, strict=True):
                total.addmm_(matrix, right.to(matrix.dtype))
        return [total.to(torch.float64) for total in sums]
