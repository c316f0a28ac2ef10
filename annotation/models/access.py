"""Who may do what: members of a study and tokens of the API."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from annotation.models.study import Study


class Role(models.TextChoices):
    """What a member of a study may do; the owner is on the study itself, and staff may all."""

    RESEARCHER = "researcher", "researcher: sees and changes the study"
    VIEWER = "viewer", "viewer: sees the study"


class StudyMember(models.Model):
    """Somebody who shares in a study."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="study_memberships"
    )
    role = models.CharField(max_length=12, choices=Role, default=Role.VIEWER)
    added_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["study", "user"]
        constraints = [
            models.UniqueConstraint(name="study_member_once", fields=["study", "user"]),
            models.CheckConstraint(name="study_member_role", condition=Q(role__in=Role.values)),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.study.slug}: {self.role}"


class Scope(models.TextChoices):
    """What a token may be used for."""

    READ = "read", "read studies, progress, estimates, ratings"
    WRITE = "write", "create, change, launch and close studies"
    PAY = "pay", "spend money: publish on a panel, add places, approve, pay bonuses"


class ApiToken(models.Model):
    """A token of the API: shown once when it is made, kept as a hash."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens"
    )
    name = models.CharField(max_length=80)
    prefix = models.CharField(
        max_length=12, help_text="Its first characters, to tell tokens apart."
    )
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the token.")
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["user", "-created_at"]
        constraints = [
            models.UniqueConstraint(
                name="api_token_name_once",
                fields=["user", "name"],
                condition=Q(revoked_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class IdempotencyKey(models.Model):
    """A request that creates or spends, and its reply: the same key again gets the same reply.

    Without a status the request is being worked on, or its server was killed in the middle.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="idempotency_keys"
    )
    key = models.CharField(max_length=120)
    fingerprint = models.CharField(
        max_length=64, help_text="SHA-256 of method, address and body of the request."
    )
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    reply = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(name="idempotency_key_once", fields=["user", "key"]),
            models.CheckConstraint(name="idempotency_key_not_empty", condition=~Q(key="")),
        ]
        indexes = [models.Index(fields=["created_at"], name="idempotency_key_age")]

    def __str__(self) -> str:
        return f"{self.key} of {self.user}"
