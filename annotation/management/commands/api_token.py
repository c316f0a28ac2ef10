"""``manage.py api_token``."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from annotation.exceptions import InvalidInput
from annotation.models import Scope
from annotation.services.tokens import (
    DEFAULT_DAYS,
    MAX_DAYS,
    token_create,
    token_revoke,
    tokens_of,
)


class Command(BaseCommand):
    """Make, list and revoke tokens of the API."""

    help = "Make, list and revoke a user's tokens of the API."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to do and for whom."""
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="make a token and print it, this once")
        create.add_argument("username")
        create.add_argument("name", help="what it is for")
        create.add_argument(
            "--scope",
            action="append",
            choices=Scope.values,
            help="what it may do; give it again for more (default: read)",
        )
        create.add_argument(
            "--days", type=int, default=DEFAULT_DAYS, help=f"at most {MAX_DAYS} (default: 90)"
        )
        listed = actions.add_parser("list", help="list a user's tokens")
        listed.add_argument("username")
        revoke = actions.add_parser("revoke", help="make a token useless")
        revoke.add_argument("username")
        revoke.add_argument("name")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it."""
        user = self._user(options["username"])
        if options["action"] == "create":
            self._create(user, options)
        elif options["action"] == "list":
            self._list(user)
        else:
            self._revoke(user, options["name"])

    def _user(self, username: str) -> AbstractBaseUser:
        users = get_user_model()
        try:
            return users._default_manager.get_by_natural_key(username)  # noqa: SLF001
        except users.DoesNotExist as error:
            raise CommandError(
                f"There is no user {username!r}; `manage.py createsuperuser` makes one."
            ) from error

    def _create(self, user: AbstractBaseUser, options: dict[str, Any]) -> None:
        try:
            token, secret = token_create(
                user=user,
                name=options["name"],
                scopes=options["scope"] or [Scope.READ],
                days=options["days"],
            )
        except InvalidInput as error:
            raise CommandError(str(error)) from error
        self.stderr.write(
            f"Valid until {token.expires_at:%Y-%m-%d}; it may {', '.join(token.scopes)}. "
            "It is not shown again:"
        )
        self.stdout.write(secret)

    def _list(self, user: AbstractBaseUser) -> None:
        now = timezone.now()
        for token in tokens_of(user):
            state = f"valid until {token.expires_at:%Y-%m-%d}"
            if token.revoked_at is not None:
                state = f"revoked {token.revoked_at:%Y-%m-%d}"
            elif token.expires_at <= now:
                state = f"ran out {token.expires_at:%Y-%m-%d}"
            used = f"{token.last_used_at:%Y-%m-%d %H:%M}" if token.last_used_at else "never"
            self.stdout.write(
                f"{token.name}  {token.prefix}...  {', '.join(token.scopes)}  {state}  used {used}"
            )

    def _revoke(self, user: AbstractBaseUser, name: str) -> None:
        valid = [token for token in tokens_of(user) if token.revoked_at is None]
        token = next((token for token in valid if token.name == name), None)
        if token is None:
            names = ", ".join(token.name for token in valid) or "none"
            raise CommandError(f"This user has no token {name!r} to revoke; there are: {names}.")
        token_revoke(token=token)
        self.stdout.write(f"Revoked {name}")
