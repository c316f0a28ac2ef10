"""What the neurons are measured on, what they did there, and what a cheap model sees there."""

import uuid
from pathlib import Path

from django.conf import settings
from django.db import models

from annotation.models.array_file import ArrayFile


class Modality(models.TextChoices):
    """What a probe input is to a person."""

    IMAGE = "image", "image"
    TEXT = "text", "text"


class ProbeDataset(models.Model):
    """The inputs that neurons are measured on; input ``i`` is row ``i`` of every matrix."""

    name = models.CharField(max_length=200, unique=True)
    modality = models.CharField(max_length=10, choices=Modality, default=Modality.IMAGE)
    n_inputs = models.PositiveIntegerField()
    root = models.CharField(
        max_length=500,
        blank=True,
        default="",
        help_text="Folder of the inputs: relative to the data folder, or absolute where it lies in "
        "one of NEURONJURY_DATASET_ROOTS; unused where the inputs are texts.",
    )
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="Who may delete it while no study uses it, beside staff.",
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="probe_dataset_has_inputs", condition=models.Q(n_inputs__gte=1)
            ),
            models.CheckConstraint(
                name="probe_dataset_modality", condition=models.Q(modality__in=Modality.values)
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def absolute_root(self) -> Path:
        """Where the inputs lie on this machine."""
        return Path(settings.DATA_DIR) / self.root


class ProbeInput(models.Model):
    """One input. Raters know it by ``public_id`` alone, which tells neither order nor class."""

    dataset = models.ForeignKey(ProbeDataset, on_delete=models.CASCADE, related_name="inputs")
    index = models.PositiveIntegerField(help_text="Row in activations and concept matrices.")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    file = models.CharField(
        max_length=500,
        blank=True,
        default="",
        help_text="Relative to the dataset's folder; empty where the input is a text.",
    )
    text = models.TextField(blank=True, default="", help_text="The input, where it is a text.")
    highlight_start = models.PositiveIntegerField(
        null=True, blank=True, help_text="First character of the token that is asked about."
    )
    highlight_end = models.PositiveIntegerField(
        null=True, blank=True, help_text="Where that token ends, not included."
    )

    class Meta:
        ordering = ["dataset", "index"]
        constraints = [
            models.UniqueConstraint(name="probe_input_index", fields=["dataset", "index"]),
            models.CheckConstraint(
                name="probe_input_file_or_text",
                condition=models.Q(file="") ^ models.Q(text=""),
            ),
            models.CheckConstraint(
                name="probe_input_highlight",
                condition=models.Q(highlight_start__isnull=True, highlight_end__isnull=True)
                | models.Q(
                    highlight_start__isnull=False,
                    highlight_end__isnull=False,
                    highlight_start__lt=models.F("highlight_end"),
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dataset} [{self.index}]"


class ActivationMatrix(ArrayFile):
    """Activations of one layer: shape (n_inputs, n_neurons)."""

    dataset = models.ForeignKey(
        ProbeDataset, on_delete=models.PROTECT, related_name="activation_matrices"
    )
    model_name = models.CharField(max_length=200)
    layer = models.CharField(max_length=200)
    pool = models.CharField(max_length=20, default="none")

    class Meta:
        verbose_name_plural = "activation matrices"
        constraints = [
            models.UniqueConstraint(
                name="activation_matrix_once", fields=["dataset", "model_name", "layer", "pool"]
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model_name} {self.layer}"


class Neuron(models.Model):
    """One column of an activation matrix: a unit, channel, latent or direction."""

    activations = models.ForeignKey(
        ActivationMatrix, on_delete=models.PROTECT, related_name="neurons"
    )
    unit = models.PositiveIntegerField(help_text="Column of the activation matrix, from 0.")

    class Meta:
        ordering = ["activations", "unit"]
        constraints = [
            models.UniqueConstraint(name="neuron_once", fields=["activations", "unit"]),
        ]

    def __str__(self) -> str:
        return f"{self.activations.layer}:{self.unit}"
