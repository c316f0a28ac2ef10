"""Workers of the background: each says again and again that it is alive."""

from django.db import models


class WorkerHeartbeat(models.Model):
    """A worker, and when it last said that it is alive; one that falls silent was killed."""

    worker_id = models.CharField(max_length=64, unique=True)
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()

    class Meta:
        ordering = ["-beat_at"]
        indexes = [models.Index(fields=["beat_at"], name="worker_heartbeat_age")]

    def __str__(self) -> str:
        return self.worker_id
