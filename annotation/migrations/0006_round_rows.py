"""What studies of earlier versions drew at their launch becomes their first round."""

from typing import Any

from django.db import migrations


def fill(apps: Any, schema_editor: Any) -> None:
    Study = apps.get_model("annotation", "Study")
    SamplingRound = apps.get_model("annotation", "SamplingRound")
    PairSample = apps.get_model("annotation", "PairSample")
    Item = apps.get_model("annotation", "Item")
    drawn = PairSample.objects.filter(round__isnull=True).values("study")
    for study in Study.objects.filter(pk__in=drawn):
        launch = SamplingRound.objects.create(
            study=study,
            number=1,
            design=study.sampling_design,
            n_draws=study.inputs_per_pair,
            seed=study.seed,
            drawn_at=study.launched_at or study.created_at,
            drawn_by_id=study.launched_by_id,
        )
        PairSample.objects.filter(study=study, round__isnull=True).update(round=launch)
        Item.objects.filter(study=study, round__isnull=True).update(round=launch)


class Migration(migrations.Migration):
    dependencies = [("annotation", "0005_rounds_and_panel_requests")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
