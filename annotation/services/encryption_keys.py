"""Stored secrets, all of them: encrypted anew when the key changes."""

from django.apps import apps
from django.db import transaction
from django.db.models import BinaryField, Model

from annotation.encryption import reencrypt


@transaction.atomic
def secrets_reencrypt() -> int:
    """Encrypt every stored secret anew with the first of the server's keys, all or none.

    Returns
    -------
    int
        How many secrets there are. They are found by their type: in the app every `BinaryField`
        holds one.

    Raises
    ------
    DecryptionFailed
        When none of the keys decrypts one of them; nothing is changed then.
    """
    n_secrets = 0
    for model in apps.get_app_config("annotation").get_models():
        names = [field.name for field in model._meta.get_fields() if _is_secret(field)]  # noqa: SLF001
        if names:
            n_secrets += sum(_row_reencrypt(row, names) for row in _locked(model))
    return n_secrets


def _is_secret(field: object) -> bool:
    return isinstance(field, BinaryField)


def _locked(model: type[Model]) -> list[Model]:
    return list(model._default_manager.select_for_update().order_by("pk"))  # noqa: SLF001


def _row_reencrypt(row: Model, names: list[str]) -> int:
    filled = [name for name in names if getattr(row, name)]
    for name in filled:
        setattr(row, name, reencrypt(getattr(row, name)))
    if filled:
        row.save(update_fields=filled)
    return len(filled)
