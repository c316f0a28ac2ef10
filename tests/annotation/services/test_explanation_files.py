"""Explanation files: what was recognised and what not is said before anything is written."""

from pathlib import Path

import numpy as np
import pytest

from annotation.exceptions import ExplanationFileProblem, StudyStateError
from annotation.models import Study
from annotation.services.datasets import activations_register
from annotation.services.explanation_files import (
    ExplanationFilePreview,
    explanation_file_add,
    explanation_file_preview,
    explanations_remove,
)
from annotation.services.studies import study_launch
from tests.annotation.factories import make_study
from tests.annotation.factories_researcher import clip_dissect

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    study = make_study(launched=False, n_inputs=20)
    study.explanations.all().delete()
    return study


def look(study: Study, tmp_path: Path, content: str, **options) -> ExplanationFilePreview:
    path = tmp_path / "upload-123.csv"
    path.write_text(content, encoding="utf-8")
    options = {"method": "M", "name": "mine.csv", **options}
    return explanation_file_preview(study=study, source=path, **options)


def test_a_published_file_is_recognised_and_added(study: Study, tmp_path: Path) -> None:
    content = clip_dissect((0, "concept 0"), (1, "  CONCEPT 1 "), layer="layer1")
    preview = look(study, tmp_path, content, method=" CLIP-Dissect ")
    assert (preview.format, preview.method) == ("CLIP-Dissect", "CLIP-Dissect")
    assert (preview.n_neurons, preview.n_concepts, preview.n_refused) == (2, 2, 0)
    assert not study.explanations.exists()
    explanation_file_add(study=study, preview=preview, actor=study.owner)
    rows = study.explanations.values_list("neuron__unit", "terms__concept__text", "terms__weight")
    assert set(rows) == {(0, "concept 0", 1.0), (1, "concept 1", 1.0)}
    assert study.events.filter(action="explanations added").last().details["n_added"] == 2


def test_what_the_study_cannot_take_is_told(study: Study, tmp_path: Path) -> None:
    content = clip_dissect(
        (0, "concept 0"), (7, "concept 0"), (1, "a <unicorn>"), layer="layer1"
    ) + ("elsewhere,0,concept 1,0.5\n")
    preview = look(study, tmp_path, content)
    assert preview.unknown_neurons == ["layer1:7", "elsewhere:0"]
    assert preview.unknown_concepts == ["a <unicorn>"]
    assert [row.problem != "" for row in preview.rows] == [False, True, True, True]
    with pytest.raises(ExplanationFileProblem, match="3 of 4 cannot be taken"):
        explanation_file_add(study=study, preview=preview, actor=study.owner)
    assert not study.explanations.exists()
    explanation_file_add(study=study, preview=preview, actor=study.owner, partly=True)
    assert study.explanations.count() == 1


def test_a_dead_neuron_is_left_out_before_the_launch_refuses_it(tmp_path: Path) -> None:
    study = make_study(launched=False, n_inputs=20)
    study.explanations.all().delete()
    activations = np.random.default_rng(0).random((20, 4)).astype(np.float32)
    activations[:, 1], activations[:, 3] = 0.0, 0.1
    activations_register(
        dataset=study.dataset, model_name="tiny", layer="layer2", activations=activations
    )
    rows = ((unit, "concept 0") for unit in range(4))
    preview = look(study, tmp_path, clip_dissect(*rows, layer="layer2"))
    assert ["same activation" in row.problem for row in preview.rows] == [False, True, False, True]
    assert preview.unknown_neurons == []
    explanation_file_add(study=study, preview=preview, actor=study.owner, partly=True)
    study_launch(study=study, actor=study.owner)


def test_a_method_explains_a_neuron_once(study: Study, tmp_path: Path) -> None:
    content = "unit,summary\n0,concept 0\n0,concept 1\n"
    preview = look(study, tmp_path, content)
    assert (preview.n_neurons, preview.n_surplus) == (1, 1)
    explanation_file_add(study=study, preview=preview, actor=study.owner, partly=True)
    assert look(study, tmp_path, content).n_surplus == 2
    assert look(study, tmp_path, content, method="Another").n_surplus == 1


def test_the_layer_is_asked_for_where_it_is_not_clear(study: Study, tmp_path: Path) -> None:
    other = activations_register(
        dataset=study.dataset,
        model_name="tiny",
        layer="layer2",
        activations=[[0.5, 1.0], [1.0, 0.5]] * 10,
    )
    content = "unit,description\n0,concept 0\n"
    unclear = look(study, tmp_path, content)
    assert "fits 2 activation matrices" in unclear.rows[0].problem
    chosen = look(study, tmp_path, content, activations=other)
    assert chosen.usable[0].activations == other
    wrong = look(study, tmp_path, clip_dissect((0, "concept 0"), layer="x"), activations=other)
    assert "the file says layer 'x'" in wrong.rows[0].problem


def test_units_counted_from_one(study: Study, tmp_path: Path) -> None:
    content = "unit,description\n1,concept 0\n2,concept 1\n"
    preview = look(study, tmp_path, content, first_unit=1)
    assert [new.unit for new in preview.usable] == [0, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "mine.csv"),
        ("", "empty"),
        ("unit,description\n0,\n", "found no explanation"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_as_it_was_sent(
    study: Study, tmp_path: Path, content: str, message: str
) -> None:
    with pytest.raises(ExplanationFileProblem, match=message) as caught:
        look(study, tmp_path, content)
    assert "upload-123" not in str(caught.value)
    with pytest.raises(ExplanationFileProblem, match="method"):
        look(study, tmp_path, "unit,description\n0,concept 0\n", method="  ")


def test_explanations_of_a_launched_study_are_fixed(tmp_path: Path) -> None:
    study = make_study(launched=False, n_inputs=20)
    assert explanations_remove(study=study, method="Bad", actor=study.owner) == 2
    assert study.events.last().action == "explanations removed"
    study_launch(study=study, actor=study.owner)
    with pytest.raises(StudyStateError):
        explanations_remove(study=study, method="Good", actor=study.owner)
    preview = look(study, tmp_path, clip_dissect((0, "concept 0"), layer="layer1"))
    with pytest.raises(StudyStateError):
        explanation_file_add(study=study, preview=preview, actor=study.owner)
