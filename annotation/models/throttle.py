"""How often something was tried lately, over all server processes."""

from django.db import models


class ThrottleWindow(models.Model):
    """Tries of one kind by one account or address; who it is, is kept as a keyed hash only."""

    key = models.CharField(max_length=64, unique=True)
    started_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    tries = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-started_at"]
        indexes = [models.Index(fields=["ends_at"], name="throttle_window_age")]
        constraints = [
            models.CheckConstraint(
                name="throttle_window_in_order",
                condition=models.Q(ends_at__gt=models.F("started_at")),
            )
        ]

    def __str__(self) -> str:
        return f"{self.key[:8]}: {self.tries}"
