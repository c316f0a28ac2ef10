"""Matrices live in files beside the database; a row describes one and can prove it unchanged."""

from pathlib import Path

from django.conf import settings
from django.db import models


class ArrayFile(models.Model):
    """A ``.npy`` file under the data folder, with what it must contain."""

    path = models.CharField(max_length=500, help_text="Relative to the data folder.")
    shape = models.JSONField(help_text="[rows, columns]; a row is a probe input.")
    dtype = models.CharField(max_length=20)
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True

    @property
    def absolute_path(self) -> Path:
        """Where the file lies on this machine."""
        return Path(settings.DATA_DIR) / self.path
