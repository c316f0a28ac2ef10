"""What a study costs: entries that are only ever added."""

from typing import Any, NoReturn

from django.conf import settings
from django.db import models
from django.db.models import Q

from annotation.models.rater import Participation
from annotation.models.recruitment import Recruitment
from annotation.models.study import Study


class LedgerKind(models.TextChoices):
    """What an amount is for. Commitments count against the cap; payments turn them into cost."""

    COMMITMENT = "commitment", "places that may be filled"
    RELEASE = "release", "places that no longer may"
    REWARD = "reward", "reward of an approved submission"
    FEE = "fee", "the panel's fee"
    BONUS = "bonus", "bonus"


class LedgerEntry(models.Model):
    """One amount, in minor units (pence, cents). `key` makes the same booking happen once."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="ledger")
    recruitment = models.ForeignKey(
        Recruitment, on_delete=models.PROTECT, related_name="ledger", null=True, blank=True
    )
    participation = models.ForeignKey(
        Participation, on_delete=models.SET_NULL, related_name="ledger", null=True, blank=True
    )
    kind = models.CharField(max_length=12, choices=LedgerKind)
    amount_minor = models.BigIntegerField(help_text="Releases are negative, all else positive.")
    currency = models.CharField(max_length=3)
    key = models.CharField(max_length=160, unique=True)
    note = models.CharField(max_length=300, blank=True, default="")
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["at", "id"]
        verbose_name_plural = "ledger entries"
        constraints = [
            models.CheckConstraint(
                name="ledger_entry_kind", condition=Q(kind__in=LedgerKind.values)
            ),
            models.CheckConstraint(
                name="ledger_entry_sign",
                condition=Q(kind=LedgerKind.RELEASE, amount_minor__lt=0)
                | (~Q(kind=LedgerKind.RELEASE) & Q(amount_minor__gt=0)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount_minor} {self.currency}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Add the entry; an entry that stands is never written again."""
        if not self._state.adding:
            raise TypeError("A ledger entry is never changed; book the difference as a new one.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:  # noqa: ARG002 - Django's
        """Refuse: what was booked stays booked."""
        raise TypeError("A ledger entry is never deleted; book a release as a new one.")
