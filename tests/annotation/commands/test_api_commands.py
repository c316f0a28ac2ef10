"""The commands of tokens, exports and imports, as they are typed."""

import io
import re
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pyarrow import parquet

from annotation.models import ApiToken, Rating
from annotation.services.tokens import token_find
from tests.annotation.factories import make_study, make_user, rate_study

pytestmark = pytest.mark.django_db


def output(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def test_tokens_are_made_listed_and_revoked() -> None:
    user = make_user("ada")
    secret = output("api_token", "create", "ada", "report", "--scope", "write", "--days", "5")
    token = token_find(secret=secret.strip())
    assert token is not None
    assert (token.user, token.name, token.scopes) == (user, "report", ["write"])
    listed = output("api_token", "list", "ada")
    assert re.search(r"report  nj_\w{7}\S*  write  valid until", listed)
    assert secret.strip() not in listed
    assert output("api_token", "revoke", "ada", "report") == "Revoked report\n"
    assert "revoked" in output("api_token", "list", "ada")
    with pytest.raises(CommandError, match="no token 'report' to revoke; there are: none"):
        output("api_token", "revoke", "ada", "report")
    with pytest.raises(CommandError, match="no user 'nobody'"):
        output("api_token", "list", "nobody")
    with pytest.raises(CommandError, match="days: 999"):
        output("api_token", "create", "ada", "long", "--days", "999")
    assert ApiToken.objects.count() == 1


def test_tables_are_exported_in_every_form(tmp_path: Path) -> None:
    study = make_study()
    rate_study(study, max_tasks=1)
    path = tmp_path / "items.parquet"
    output(
        "export_ratings",
        study.slug,
        "--table",
        "items",
        "--format",
        "parquet",
        "--output",
        str(path),
    )
    assert parquet.read_table(path).num_rows == study.items.count()
    lines = output("export_ratings", study.slug, "--format", "jsonl").splitlines()
    assert len(lines) == Rating.objects.count()
    with pytest.raises(CommandError, match="name a file with --output"):
        output("export_ratings", study.slug, "--format", "parquet")
    study.concept_prior.absolute_path.unlink()
    with pytest.raises(CommandError, match="cheap model"):
        output("export_ratings", study.slug, "--table", "inputs")


def test_old_ratings_are_looked_at_and_imported(tmp_path: Path) -> None:
    study = make_study()
    item = study.items.select_related("probe_input", "concept").first()
    path = tmp_path / "old.csv"
    path.write_text(f"task,worker,label\n{item.probe_input.index},w,yes\n9999,w,no\n")
    arguments = ("import_ratings", study.slug, str(path), "--concept", item.concept.text)
    labels = ("--label", "yes=present", "--label", "no=absent")
    text = output(*arguments, *labels, "--preview")
    assert "Format crowdkit, 2 ratings: 1 would be imported (1 raters, 1 items)" in text
    assert "1: the probe dataset has no such input; the first in line 3" in text
    assert not Rating.objects.exists()
    assert "1 imported" in output(*arguments, *labels)
    assert Rating.objects.get().item == item
    assert study.events.get(action="ratings imported").actor == study.owner
    for wrong, words in (
        ((*arguments, "--label", "yes"), "LABEL=RATING"),
        ((*arguments, "--label", "yes=maybe"), "leads to 'maybe'"),
        ((*arguments, *labels, "--actor", "nobody"), "no user 'nobody'"),
        (("import_ratings", study.slug, str(tmp_path / "none.csv")), "cannot be read"),
    ):
        with pytest.raises(CommandError, match=words):
            output(*wrong)
