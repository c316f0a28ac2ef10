"""Concepts (texts) and matrices of concept vectors."""

from django.db import models

from annotation.models.array_file import ArrayFile
from annotation.models.probe import ProbeDataset


class Concept(models.Model):
    """A text that a rater is asked about; ratings of it serve every neuron and method."""

    text = models.CharField(max_length=500, unique=True)

    class Meta:
        ordering = ["text"]
        constraints = [
            models.CheckConstraint(name="concept_text_not_empty", condition=~models.Q(text="")),
        ]

    def __str__(self) -> str:
        return self.text


class ConceptMatrixRole(models.TextChoices):
    """Where the concept vectors of a matrix come from."""

    PRIOR = "prior", "concept prior (a cheap model)"
    REFERENCE = "reference", "reference labels (known truth)"
    POSTERIOR_MEAN = "posterior_mean", "posterior mean"
    POSTERIOR_SD = "posterior_sd", "posterior standard deviation"


class ConceptMatrix(ArrayFile):
    """Concept vectors, values in [0, 1]: shape (n_inputs, n_concepts)."""

    dataset = models.ForeignKey(
        ProbeDataset, on_delete=models.PROTECT, related_name="concept_matrices"
    )
    name = models.CharField(max_length=200)
    role = models.CharField(max_length=20, choices=ConceptMatrixRole)

    class Meta:
        verbose_name_plural = "concept matrices"
        constraints = [
            models.UniqueConstraint(name="concept_matrix_once", fields=["dataset", "name", "role"]),
            models.CheckConstraint(
                name="concept_matrix_role", condition=models.Q(role__in=ConceptMatrixRole.values)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.get_role_display()})"


class ConceptColumn(models.Model):
    """Which column of a matrix is which concept."""

    matrix = models.ForeignKey(ConceptMatrix, on_delete=models.CASCADE, related_name="columns")
    concept = models.ForeignKey(Concept, on_delete=models.PROTECT, related_name="columns")
    column = models.PositiveIntegerField()

    class Meta:
        ordering = ["matrix", "column"]
        constraints = [
            models.UniqueConstraint(name="concept_column_once", fields=["matrix", "column"]),
            models.UniqueConstraint(name="concept_in_matrix_once", fields=["matrix", "concept"]),
        ]

    def __str__(self) -> str:
        return f"{self.matrix} [{self.column}] {self.concept}"
