"""Every sample and item belongs to a round."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("annotation", "0006_round_rows")]
    operations = [
        migrations.AlterField(
            model_name="item",
            name="round",
            field=models.ForeignKey(
                help_text="The one that made it; draws of later rounds may fall on it as well.",
                on_delete=django.db.models.deletion.CASCADE,
                related_name="items",
                to="annotation.samplinground",
            ),
        ),
        migrations.AlterField(
            model_name="pairsample",
            name="round",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="pair_samples",
                to="annotation.samplinground",
            ),
        ),
    ]
