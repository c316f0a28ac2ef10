"""Everything of the demo into the database, by the same services that a researcher's study uses.

Each step first looks for what an earlier run left, so the demo can be interrupted and run again.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User

from annotation.models import (
    ActivationMatrix,
    ConceptMatrix,
    ConceptMatrixRole,
    ProbeDataset,
    Study,
    StudyStatus,
)
from annotation.services.datasets import (
    activations_register,
    concept_matrix_register,
    probe_dataset_create,
)
from annotation.services.studies import (
    NewExplanation,
    explanations_add,
    study_create,
    study_launch,
)
from demo import digits, network
from neuron_eval.activations import record_activations
from neuron_eval.class_labels import attribute_concepts
from neuron_eval.concepts import LinearProbeSource
from neuron_eval.explainers import EXPLAINERS

DATASET_NAME = "Handwritten digits (scikit-learn)"
IMAGES_FOLDER = "probe/digits"
SLUG = "digits"

#: What the explainers are called on the leaderboard: in the manner of Network Dissection, INVERT,
#: CLIP-Dissect and Linear Explanations, and one that is bad on purpose.
METHODS = {
    "best_iou": "Best IoU",
    "best_auroc": "Best AUROC",
    "wpmi": "WPMI",
    "sparse_linear": "Sparse linear",
    "random_concept": "Random concept",
}
BAD_METHOD = METHODS["random_concept"]

N_HIDDEN_NEURONS = 8
N_OUTPUT_NEURONS = 6
REDUNDANCY = 3
RATING_BUDGET = 20_000

CONSENT = (
    "This is a demonstration of Neuron Jury. You will see pictures of handwritten digits and say "
    "what is in them. We store your answers and the time each takes, and nothing that identifies "
    "you. You may stop at any time; answers given until then are kept."
)
INSTRUCTIONS = (
    "Each task asks one question about 15 pictures, for example whether a picture shows a closed "
    "loop. Judge by the digit that was meant, as it is usually printed: 0, 6, 8 and 9 have a "
    "closed loop; 1, 4 and 7 are made of straight strokes only."
)


@dataclass(frozen=True)
class Probe:
    """What the study is about.

    Attributes
    ----------
    dataset : ProbeDataset
    layers : dict of str to ActivationMatrix
        Hidden and output layer.
    concept_prior, reference : ConceptMatrix
        Of the cheap model, and the truth.
    truth : dict of str to ndarray, shape (n_inputs,), bool
        By concept text.
    """

    dataset: ProbeDataset
    layers: dict[str, ActivationMatrix]
    concept_prior: ConceptMatrix
    reference: ConceptMatrix
    truth: dict[str, npt.NDArray[np.bool_]]


def truth_of(labels: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.bool_]]:
    """Return the true concept vectors.

    Parameters
    ----------
    labels : ndarray, shape (n_inputs,)

    Returns
    -------
    dict of str to ndarray, shape (n_inputs,), bool
    """
    matrix = attribute_concepts(labels, digits.CONCEPTS).numpy() >= 0.5
    return {text: matrix[:, column] for column, text in enumerate(digits.CONCEPTS)}


def prepare_probe(*, seed: int, say: Callable[[str], None]) -> Probe:
    """Register images, activations, concept prior and truth, or find them registered.

    Parameters
    ----------
    seed : int
        Of the train split and the network.
    say : callable
        Gets one line a step.

    Returns
    -------
    Probe
    """
    data = digits.load(seed=seed)
    truth = truth_of(data.labels)
    dataset = ProbeDataset.objects.filter(name=DATASET_NAME).first()
    if dataset is None:
        files = digits.write_images(data, Path(settings.DATA_DIR) / IMAGES_FOLDER)
        dataset = probe_dataset_create(
            name=DATASET_NAME,
            root=IMAGES_FOLDER,
            files=files,
            description="1,797 digits of 8 x 8 pixels, from sklearn.datasets.load_digits.",
        )
        say(f"{dataset.n_inputs} digit images as probe dataset")
    model_name = f"{network.MODEL_NAME} (seed {seed})"
    layers = {
        matrix.layer: matrix for matrix in dataset.activation_matrices.filter(model_name=model_name)
    }
    wanted = [network.HIDDEN_LAYER, network.OUTPUT_LAYER]
    if missing := [layer for layer in wanted if layer not in layers]:
        model, accuracy = network.train(data, seed=seed)
        say(f"network trained: {accuracy:.1%} of the held-out digits right")
        images = torch.from_numpy(data.images).unsqueeze(1)
        for layer, values in record_activations(model, missing, images.split(256)).items():
            layers[layer] = activations_register(
                dataset=dataset,
                model_name=model_name,
                layer=layer,
                activations=values.numpy(),
                pool="avg" if layer == network.HIDDEN_LAYER else "none",
            )
        say("activations of the hidden and the output layer recorded on all images")
    return Probe(
        dataset=dataset,
        layers={layer: layers[layer] for layer in wanted},
        concept_prior=_prior(dataset, data, truth, say, seed=seed),
        reference=_matrix(dataset, "digit labels", ConceptMatrixRole.REFERENCE, _stack(truth)),
        truth=truth,
    )


def _prior(
    dataset: ProbeDataset,
    data: digits.Digits,
    truth: dict[str, npt.NDArray[np.bool_]],
    say: Callable[[str], None],
    *,
    seed: int,
) -> ConceptMatrix:
    name = f"logistic regression on {len(data.labelled)} labelled images (seed {seed})"
    pixels = data.images.reshape(len(data.images), -1)
    source = LinearProbeSource(
        list(truth), pixels[data.labelled], _stack(truth)[data.labelled].astype(np.float64)
    )
    values = source.concept_vectors(pixels)
    right = float(((values >= 0.5) == _stack(truth)).mean())
    say(f"concept prior from {len(data.labelled)} labelled images: {right:.1%} of its labels right")
    return _matrix(dataset, name, ConceptMatrixRole.PRIOR, values)


def _stack(truth: dict[str, npt.NDArray[np.bool_]]) -> npt.NDArray[np.bool_]:
    return np.stack(list(truth.values()), axis=1)


def _matrix(
    dataset: ProbeDataset, name: str, role: ConceptMatrixRole, values: npt.NDArray[Any]
) -> ConceptMatrix:
    existing = dataset.concept_matrices.filter(name=name, role=role).first()
    return existing or concept_matrix_register(
        dataset=dataset,
        name=name,
        role=role,
        concepts=list(digits.CONCEPTS),
        values=values.astype(np.float64),
    )


def researcher_account() -> tuple[User, str]:
    """Return the demo's researcher and the file that holds the password of this checkout.

    The password is made at random on first use, so that no two installations share one.
    """
    path = Path(settings.DATA_DIR) / "demo" / "login.txt"
    user, created = get_user_model().objects.get_or_create(
        username="researcher", defaults={"is_staff": True}
    )
    if created or not path.exists():
        password = secrets.token_urlsafe(9)
        user.set_password(password)
        user.save()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(f"Log in as           researcher / {password}\n", encoding="utf-8")
    return user, path.read_text(encoding="utf-8").strip()


def chosen_neurons(probe: Probe) -> dict[str, list[int]]:
    """Choose the neurons to explain: the most varied hidden channels, and the first outputs.

    Parameters
    ----------
    probe : Probe

    Returns
    -------
    dict of str to list of int
        Units by layer, ascending.
    """
    hidden = np.load(probe.layers[network.HIDDEN_LAYER].absolute_path, mmap_mode="r")
    varied = np.argsort(-hidden.std(axis=0), kind="stable")[:N_HIDDEN_NEURONS]
    return {
        network.HIDDEN_LAYER: sorted(map(int, varied)),
        network.OUTPUT_LAYER: list(range(N_OUTPUT_NEURONS)),
    }


def explain(probe: Probe, *, seed: int) -> dict[str, list[NewExplanation]]:
    """Let every method explain the chosen neurons by the concept prior.

    Parameters
    ----------
    probe : Probe
    seed : int
        Of the random concepts.

    Returns
    -------
    dict of str to list of NewExplanation
        By the method's name.
    """
    texts = list(digits.CONCEPTS)
    concepts = np.load(probe.concept_prior.absolute_path)
    explained: dict[str, list[NewExplanation]] = {name: [] for name in METHODS.values()}
    for layer, units in chosen_neurons(probe).items():
        matrix = probe.layers[layer]
        activations = np.load(matrix.absolute_path)[:, units]
        for key, name in METHODS.items():
            options = {"seed": seed + len(layer)} if key == "random_concept" else {}
            for explanation in EXPLAINERS[key](activations, concepts, **options):
                explained[name].append(
                    NewExplanation(
                        activations=matrix,
                        unit=units[explanation.unit],
                        terms={texts[t.concept]: t.weight for t in explanation.terms},
                        bias=explanation.bias,
                    )
                )
    return explained


def prepare_study(
    probe: Probe,
    *,
    owner: User,
    seed: int,
    inputs_per_pair: int,
    fresh: bool,
    say: Callable[[str], None],
) -> Study:
    """Return the demo's study, launched: the newest one, or another one when asked for.

    Parameters
    ----------
    probe : Probe
    owner : User
    seed : int
    inputs_per_pair : int
        Of a new study; one that exists keeps its own.
    fresh : bool
        Start another study beside those that exist.
    say : callable
        Gets one line a step.

    Returns
    -------
    Study
    """
    existing: Sequence[Study] = list(
        Study.objects.filter(slug__startswith=SLUG, dataset=probe.dataset, seed=seed).order_by("pk")
    )
    study = existing[-1] if existing and not fresh else None
    if study is None:
        number = Study.objects.filter(slug__startswith=SLUG).count() + 1
        study = study_create(
            slug=SLUG if number == 1 else f"{SLUG}-{number}",
            title="What do the neurons of a digit network see?"
            + ("" if number == 1 else f" ({number})"),
            owner=owner,
            dataset=probe.dataset,
            concept_prior=probe.concept_prior,
            reference=probe.reference,
            rating_budget=RATING_BUDGET,
            consent_text=CONSENT,
            question="Does this image show:",
            instructions=INSTRUCTIONS,
            sampling_design="model_guided",
            sampling_parameters={"gamma": 0.2},
            seed=seed,
            inputs_per_pair=inputs_per_pair,
            redundancy=REDUNDANCY,
            items_per_task=15,
        )
    if study.status == StudyStatus.DRAFT:
        done = set(study.explanations.values_list("method__name", flat=True))
        for method, explanations in explain(probe, seed=seed).items():
            if method not in done:
                explanations_add(study=study, method=method, explanations=explanations, actor=owner)
        study = study_launch(study=study, actor=owner)
    say(
        f"{study.explanations.count()} explanations of {len(METHODS)} methods: "
        f"{study.pair_samples.count()} (neuron, concept) pairs, {study.items.count()} items "
        f"in {study.tasks.count()} tasks"
    )
    return study
