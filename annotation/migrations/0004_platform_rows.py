"""Studies and raters of earlier versions get what the platform now expects of them.

The ledger's triggers are made here as well: after the table, in a transaction of their own.
"""

from typing import Any

from django.db import migrations
from django.db.models import F, OuterRef, Subquery

from annotation.models.append_only import ledger_triggers_create, ledger_triggers_drop


def fill(apps: Any, schema_editor: Any) -> None:
    Study = apps.get_model("annotation", "Study")
    QualityPolicy = apps.get_model("annotation", "QualityPolicy")
    Recruitment = apps.get_model("annotation", "Recruitment")
    Participation = apps.get_model("annotation", "Participation")
    Rater = apps.get_model("annotation", "Rater")
    for study in Study.objects.all():
        QualityPolicy.objects.get_or_create(study=study)
        Recruitment.objects.get_or_create(study=study, channel="direct")
    channel = Rater.objects.filter(pk=OuterRef("rater")).values("channel")
    Participation.objects.filter(channel="").update(channel=Subquery(channel))
    Participation.objects.filter(completed_at__isnull=False, outcome="").update(
        outcome="completed", ended_at=F("completed_at")
    )


class Migration(migrations.Migration):
    dependencies = [("annotation", "0003_platform")]
    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.RunPython(ledger_triggers_create, ledger_triggers_drop),
    ]
