"""What the tests of a rater's way need beside a study: channels, known answers, texts."""

from typing import Any

from annotation.models import (
    Concept,
    GoldAnswer,
    GoldUse,
    Outcome,
    OutcomeCode,
    Participation,
    ProbeInput,
    Recruitment,
    Study,
)
from annotation.services.raters import consent_give, instructions_confirm, rater_arrive

CODES = {
    Outcome.COMPLETED: "DONE1234",
    Outcome.NO_CONSENT: "NOCONS12",
    Outcome.SCREENED_OUT: "SCREEN12",
    Outcome.FAILED_CHECKS: "FAILED12",
}


def make_recruitment(study: Study, channel: str, *, codes: bool = True, **fields: Any) -> Any:
    """A channel of a study, with a code for every outcome."""
    recruitment, _ = Recruitment.objects.update_or_create(
        study=study, channel=channel, defaults=fields
    )
    if codes:
        for outcome, code in CODES.items():
            OutcomeCode.objects.create(recruitment=recruitment, outcome=outcome, code=code)
    return recruitment


def make_panel(study: Study, **fields: Any) -> Any:
    """A panel that sends its raters with ``?pid=...&visit=...`` and takes them back."""
    return make_recruitment(
        study,
        "panel",
        **{
            "id_parameter": "pid",
            "completion_url": "https://panel.example/done?code={code}&who={id}",
            **fields,
        },
    )


def make_panel_rater(study: Study, external_id: str = "panel rater") -> Participation:
    """A panel's rater who may be given tasks."""
    participation = rater_arrive(study=study, channel="panel", external_id=external_id)
    consent_give(participation=participation)
    instructions_confirm(participation=participation)
    return participation


def policy_set(study: Study, **fields: Any) -> None:
    """Change the quality policy of a study, launched or not."""
    for name, value in fields.items():
        setattr(study.quality_policy, name, value)
    study.quality_policy.save()


def add_gold(study: Study, use: str, values: list[str], feedback: str = "Look closely.") -> None:
    """Known answers to inputs that the study does not sample."""
    concept = Concept.objects.filter(tasks__study=study).order_by("text").first()
    assert concept is not None
    free = ProbeInput.objects.filter(dataset=study.dataset_id).exclude(
        pk__in=[
            *study.items.values_list("probe_input", flat=True),
            *study.gold_answers.values_list("probe_input", flat=True),
        ]
    )
    inputs = list(free[: len(values)])
    assert len(inputs) == len(values), "make the dataset larger"
    for probe_input, value in zip(inputs, values, strict=True):
        GoldAnswer.objects.create(
            study=study,
            concept=concept,
            probe_input=probe_input,
            value=value,
            use=use,
            feedback=feedback,
        )


def add_training(study: Study, values: list[str], *, pass_mark: int, attempts: int = 2) -> None:
    """A training of as many items as there are values."""
    add_gold(study, GoldUse.TRAINING, values)
    policy_set(
        study,
        training_items=len(values),
        training_pass_mark=pass_mark,
        training_attempts=attempts,
    )


def turn_into_texts(study: Study, text: str, highlight: tuple[int, int] | None = None) -> None:
    """Make the inputs texts ("0. " and `text`, and so on); `highlight` is a range of `text`."""
    study.dataset.modality = "text"
    study.dataset.save()
    for probe_input in study.dataset.inputs.all():
        start = f"{probe_input.index}. "
        probe_input.file = ""
        probe_input.text = start + text
        if highlight is not None:
            probe_input.highlight_start = len(start) + highlight[0]
            probe_input.highlight_end = len(start) + highlight[1]
        probe_input.save()
