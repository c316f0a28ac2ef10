"""Small studies for tests, made by the services themselves: nothing is written around them."""

import itertools
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.contrib.auth import get_user_model
from PIL import Image

from annotation.models import (
    Assignment,
    Channel,
    Item,
    Participation,
    ProbeDataset,
    RatingValue,
    Study,
)
from annotation.services.assignments import assignment_lease, assignment_submit
from annotation.services.datasets import (
    activations_register,
    concept_matrix_register,
    probe_dataset_create,
)
from annotation.services.raters import consent_give, instructions_confirm, rater_arrive
from annotation.services.ratings import ratings_save
from annotation.services.studies import (
    NewExplanation,
    explanations_add,
    study_create,
    study_launch,
)

_numbers = itertools.count(1)


def make_user(username: str | None = None, **fields: Any) -> Any:
    """A researcher; the password is "password"."""
    name = username or f"researcher-{next(_numbers)}"
    return get_user_model().objects.create_user(name, password="password", **fields)


def make_dataset(n_inputs: int = 40) -> ProbeDataset:
    """A dataset of 8 x 8 images, each of another grey."""
    root = f"probe/{uuid.uuid4()}"
    folder = Path(settings.DATA_DIR) / root
    folder.mkdir(parents=True)
    files = [f"class{index % 7}-{index:04d}.png" for index in range(n_inputs)]
    for index, file in enumerate(files):
        Image.new("L", (8, 8), color=index % 256).save(folder / file)
    return probe_dataset_create(name=f"Dataset {root}", root=root, files=files)


def make_study(
    *,
    n_inputs: int = 40,
    n_neurons: int = 2,
    n_concepts: int = 2,
    launched: bool = True,
    redundancy: int = 3,
    items_per_task: int = 15,
    inputs_per_pair: int = 20,
    owner: Any = None,
    rating_budget: int = 1_000_000,
    with_reference: bool = True,
    seed: int = 0,
    **fields: Any,
) -> Study:
    """A study of two methods: "Good" gives every neuron the concept that drives it, "Bad" the next.

    Neuron k is concept k modulo `n_concepts` plus noise; the prior is a noisy version of the
    reference labels. Concept j is "concept j", present on about a third of the inputs.
    """
    rng = np.random.default_rng(seed)
    owner = owner or make_user()
    dataset = make_dataset(n_inputs)
    labels = (rng.random((n_inputs, n_concepts)) < 1 / 3).astype(np.float32)
    labels[0], labels[1] = 1, 0  # both labels occur, however small the dataset
    driving = np.arange(n_neurons) % n_concepts
    activations = labels[:, driving] + rng.normal(0, 0.5, (n_inputs, n_neurons))
    prior = np.clip(0.15 + 0.6 * labels + rng.normal(0, 0.1, labels.shape), 0.01, 0.99)
    texts = [f"concept {number}" for number in range(n_concepts)]
    matrix = activations_register(
        dataset=dataset,
        model_name="tiny",
        layer="layer1",
        activations=activations.astype(np.float32),
    )
    study = study_create(
        slug=fields.pop("slug", f"study-{next(_numbers)}"),
        title=fields.pop("title", "What do the neurons see?"),
        owner=owner,
        dataset=dataset,
        concept_prior=concept_matrix_register(
            dataset=dataset, name="cheap model", role="prior", concepts=texts, values=prior
        ),
        reference=(
            concept_matrix_register(
                dataset=dataset, name="labels", role="reference", concepts=texts, values=labels
            )
            if with_reference
            else None
        ),
        rating_budget=rating_budget,
        consent_text=fields.pop("consent_text", "I agree to take part."),
        instructions=fields.pop("instructions", "Say whether the image contains the concept."),
        redundancy=redundancy,
        items_per_task=items_per_task,
        inputs_per_pair=inputs_per_pair,
        seed=seed,
        **fields,
    )
    for method, shift in (("Good", 0), ("Bad", 1)):
        explanations_add(
            study=study,
            method=method,
            explanations=[
                NewExplanation(matrix, unit, {texts[(driving[unit] + shift) % n_concepts]: 1.0})
                for unit in range(n_neurons)
            ],
            actor=owner,
        )
    if launched:
        study_launch(study=study, actor=owner)
    return study


def make_participation(
    study: Study, external_id: str | None = None, *, ready: bool = True
) -> Participation:
    """A rater of the study; `ready` means consented and instructed."""
    participation = rater_arrive(
        study=study,
        channel=Channel.DIRECT,
        external_id=external_id or f"rater-{next(_numbers)}",
    )
    if ready:
        consent_give(participation=participation)
        instructions_confirm(participation=participation)
    return participation


def truthful(study: Study) -> Callable[[Item], str]:
    """An answer to every item from the study's reference labels."""
    assert study.reference is not None
    labels = np.load(study.reference.absolute_path)
    columns = dict(study.reference.columns.values_list("concept_id", "column"))

    def answer(item: Item) -> str:
        present = labels[item.probe_input.index, columns[item.concept_id]] > 0.5
        return RatingValue.PRESENT if present else RatingValue.ABSENT

    return answer


def rate_task(assignment: Assignment, answer: Callable[[Item], str] | str) -> Assignment:
    """Answer every item of a leased task and submit it."""
    items: Iterable[Item] = assignment.task.items.select_related("probe_input")
    ratings_save(
        assignment=assignment,
        values={
            item.public_id: answer if isinstance(answer, str) else answer(item) for item in items
        },
    )
    return assignment_submit(assignment=assignment)


def rate_study(
    study: Study, answer: Callable[[Item], str] | str | None = None, *, max_tasks: int | None = None
) -> int:
    """Let raters answer tasks until none is left (or `max_tasks` are done); how many were."""
    answer = answer or truthful(study)
    done = 0
    while True:
        participation = make_participation(study)
        worked = False
        while max_tasks is None or done < max_tasks:
            assignment = assignment_lease(participation=participation)
            if assignment is None:
                break
            rate_task(assignment, answer)
            done, worked = done + 1, True
        if not worked:
            return done
