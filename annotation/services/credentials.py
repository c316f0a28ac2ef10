"""A researcher's access to Prolific: written encrypted, never shown again."""

from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Q
from django.views.decorators.debug import sensitive_variables

from annotation.encryption import decrypt, encrypt
from annotation.exceptions import InvalidInput
from annotation.models import Channel, PanelCredential, Recruitment
from annotation.recruitment.prolific import ProlificClient
from annotation.services.audit import study_event_record
from annotation.services.locks import lock

LONGEST_NAME = 80
LONGEST_TOKEN = 500


@sensitive_variables("token")
@transaction.atomic
def credential_save(
    *, owner: AbstractBaseUser, name: str, token: str, workspace_id: str = ""
) -> PanelCredential:
    """Store a token of Prolific's API, encrypted.

    Parameters
    ----------
    owner : User
        Whose token it is. Only they can use it for a study.
    name : str
        What they call it; the same name again replaces the token.
    token : str
        From Prolific's page of API tokens.
    workspace_id : str
        Prolific's id of the workspace, for its balance and webhooks.

    Returns
    -------
    PanelCredential

    Raises
    ------
    InvalidInput
        When the name or the token is empty or too long, or the token has spaces or other
        characters in it than ASCII's.
    """
    name, token = name.strip(), token.strip()
    if not 0 < len(name) <= LONGEST_NAME:
        raise InvalidInput(f"name: give 1 to {LONGEST_NAME} characters, to tell tokens apart.")
    if not 0 < len(token) <= LONGEST_TOKEN or any(
        c.isspace() or not c.isprintable() or not c.isascii() for c in token
    ):
        # the token itself stays out of the message
        raise InvalidInput(
            "token: copy it whole from Prolific's page, without spaces or "
            "other characters than a keyboard in English has."
        )
    row, _ = PanelCredential.objects.update_or_create(
        owner_id=owner.pk,
        name=name,
        defaults={
            "token_encrypted": encrypt(token),
            "workspace_id": workspace_id.strip(),
            # another token may be another workspace's
            "balance_minor": None,
            "balance_total_minor": None,
            "balance_currency": "",
            "balance_at": None,
        },
    )
    return row


@transaction.atomic
def credential_use(
    *, recruitment: Recruitment, credential: PanelCredential, actor: AbstractBaseUser
) -> Recruitment:
    """Run a study at Prolific with a token.

    Parameters
    ----------
    recruitment : Recruitment
        Prolific's channel of the study.
    credential : PanelCredential
        One of the actor's own.
    actor : User
        Who chooses it.

    Returns
    -------
    Recruitment

    Raises
    ------
    InvalidInput
        When the token is somebody else's, or the channel is not Prolific.
    """
    if credential.owner_id != actor.pk:
        raise InvalidInput("credential: it is somebody else's; enter a token of your own.")
    row = lock(Recruitment.objects.select_related("study"), pk=recruitment.pk)
    if row.channel != Channel.PROLIFIC:
        raise InvalidInput("credential: only the channel Prolific uses one.")
    if row.credential_id != credential.pk:
        row.credential = credential
        row.save(update_fields=["credential"])
        study_event_record(
            study=row.study, action="panel access chosen", actor=actor, name=credential.name
        )
    recruitment.credential = credential
    return row


@transaction.atomic
def credential_delete(*, recruitment: Recruitment, actor: AbstractBaseUser) -> None:
    """Delete the token that a study uses, from this site and from all studies that use it.

    Parameters
    ----------
    recruitment : Recruitment
        Prolific's channel of the study.
    actor : User
        Whose token it is: others take another one instead.

    Raises
    ------
    InvalidInput
        When the study uses no token, or somebody else's.
    """
    found = PanelCredential.objects.filter(recruitments=recruitment).first()
    if found is None:
        raise InvalidInput("credential: the study uses no token, so there is none to delete.")
    if found.owner_id != actor.pk:
        raise InvalidInput(
            "credential: it is somebody else's, and theirs to delete; ask them, or have the study "
            "use another one."
        )
    for row in Recruitment.objects.filter(credential=found).select_related("study").order_by("pk"):
        study_event_record(
            study=row.study,
            action="panel access withdrawn",
            actor=actor,
            user=actor.get_username(),
        )
    found.delete()
    recruitment.credential = None


@sensitive_variables("secret")
@transaction.atomic
def webhook_secret_save(*, credential: PanelCredential, secret: str) -> None:
    """Store the secret with which Prolific signs its webhooks, encrypted.

    Parameters
    ----------
    credential : PanelCredential
        Whose workspace it is. The owner's other tokens of the workspace get the secret as well,
        for a workspace has one.
    secret : str
        From Prolific.
    """
    row = lock(PanelCredential.objects.all(), pk=credential.pk)
    same = Q(pk=row.pk)
    if row.workspace_id:
        same |= Q(owner=row.owner_id, workspace_id=row.workspace_id)
    PanelCredential.objects.filter(same).update(webhook_secret_encrypted=encrypt(secret))


def webhook_secret(public_id: UUID) -> tuple[PanelCredential, str] | None:
    """Find whose webhook an address is, and the secret that signs its calls.

    Parameters
    ----------
    public_id : UUID
        In the address.

    Returns
    -------
    tuple of (PanelCredential, str) or None
        None where there is no such webhook.

    Raises
    ------
    DecryptionFailed
        When the server's keys have changed.
    """
    row = PanelCredential.objects.filter(public_id=public_id).first()
    if row is None or not row.webhook_secret_encrypted:
        return None
    return row, decrypt(row.webhook_secret_encrypted)


def balance_read(*, recruitment: Recruitment) -> PanelCredential:
    """Ask Prolific what the workspace has, and keep the answer with its time.

    Parameters
    ----------
    recruitment : Recruitment
        A channel with access to Prolific.

    Returns
    -------
    PanelCredential
        With what the workspace can still spend.

    Raises
    ------
    InvalidInput
        When no access is chosen, or its workspace is not known.
    PanelError
        When Prolific cannot be asked; what was known stays.
    """
    client = client_for(recruitment)
    credential = recruitment.credential
    if credential is None or not credential.workspace_id:
        raise InvalidInput(
            "workspace_id: store the token again with Prolific's id of the workspace, which is in "
            "the address of its pages; the balance is the workspace's."
        )
    found = client.balance(credential.workspace_id)
    credential.balance_minor = found.available_minor
    credential.balance_total_minor = found.total_minor
    credential.balance_currency = found.currency[:3]
    credential.balance_at = found.at
    credential.save(
        update_fields=["balance_minor", "balance_total_minor", "balance_currency", "balance_at"]
    )
    return credential


def client_for(recruitment: Recruitment, *, dry_run: bool = False) -> ProlificClient:
    """Make the client with which a study is run at Prolific.

    Parameters
    ----------
    recruitment : Recruitment
        Prolific's channel of the study.
    dry_run : bool
        Send nothing.

    Returns
    -------
    ProlificClient

    Raises
    ------
    InvalidInput
        When no access is chosen, and this is no dry run.
    DecryptionFailed
        When the server's keys have changed.
    """
    if recruitment.credential is None:
        if not dry_run:
            raise InvalidInput(
                "credential: no access to Prolific is chosen; enter a token of its API first."
            )
        return ProlificClient("", base_url=settings.NEURONJURY_PROLIFIC_URL, dry_run=True)
    return ProlificClient(
        "" if dry_run else decrypt(recruitment.credential.token_encrypted),
        base_url=settings.NEURONJURY_PROLIFIC_URL,
        dry_run=dry_run,
    )
