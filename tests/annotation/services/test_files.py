"""Array files follow the transaction that registers them."""

from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from django.db import IntegrityError, transaction

from annotation.models import (
    ActivationMatrix,
    ConceptMatrix,
    EstimateRun,
    ProbeDataset,
    RunStatus,
)
from annotation.services import datasets, estimates, scoring
from annotation.services.datasets import activations_register, concept_matrix_register
from annotation.services.estimates import estimate_request, estimate_run
from annotation.services.files import file_note, files_follow_transaction
from tests.annotation.factories import make_dataset, make_study, rate_study

pytestmark = pytest.mark.django_db


def arrays() -> set[Path]:
    return set((Path(settings.DATA_DIR) / "arrays").rglob("*.npy"))


def register(dataset: ProbeDataset, layer: str = "conv1") -> ActivationMatrix:
    return activations_register(
        dataset=dataset, model_name="net", layer=layer, activations=np.eye(5, dtype=np.float32)
    )


def fail(*args: object, **kwargs: object) -> None:
    raise IntegrityError("the disk of the database is full")


def registered_then(dataset: ProbeDataset, layers: str, paths: list[Path]) -> None:
    """Register layers, note where their files lie, and fail before the end."""
    with files_follow_transaction(), transaction.atomic():
        paths.extend(register(dataset, layer).absolute_path for layer in layers)
        assert all(path.is_file() for path in paths)
        raise ValueError("later")


@pytest.fixture
def dataset() -> ProbeDataset:
    return make_dataset(n_inputs=5)


def test_a_registration_that_fails_leaves_no_file(dataset: ProbeDataset, monkeypatch) -> None:
    register(dataset, "before")
    before = arrays()
    monkeypatch.setattr(ActivationMatrix.objects, "create", fail)
    monkeypatch.setattr(datasets, "concepts_by_text", fail)
    with pytest.raises(IntegrityError):
        register(dataset)
    with pytest.raises(IntegrityError):
        concept_matrix_register(
            dataset=dataset, name="x", role="prior", concepts=["cat"], values=np.full((5, 1), 0.5)
        )
    assert arrays() == before
    assert not ConceptMatrix.objects.exists()


def test_a_file_that_is_half_written_leaves_nothing(dataset: ProbeDataset, monkeypatch) -> None:
    register(dataset, "before")
    before = arrays()

    def crash(path: Path, array: object) -> None:
        path.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(datasets.science, "array_save", crash)
    with pytest.raises(OSError, match="no space"):
        register(dataset)
    assert arrays() == before


def test_the_files_of_an_outer_transaction_go_with_it(dataset: ProbeDataset) -> None:
    lost: list[Path] = []
    with pytest.raises(ValueError, match="later"):
        registered_then(dataset, "ab", lost)
    assert len(lost) == 2
    assert not any(path.exists() for path in lost)
    assert not ActivationMatrix.objects.exists()


def test_an_inner_failure_takes_its_own_files_only(dataset: ProbeDataset) -> None:
    with files_follow_transaction(), transaction.atomic():
        kept = register(dataset, "a").absolute_path
        lost: list[Path] = []
        with pytest.raises(ValueError, match="later"):
            registered_then(dataset, "b", lost)
    assert kept.is_file()
    assert len(lost) == 1
    assert not lost[0].exists()
    assert [row.layer for row in ActivationMatrix.objects.all()] == ["a"]


@pytest.mark.django_db(transaction=True)
def test_an_error_after_the_commit_deletes_nothing(dataset: ProbeDataset) -> None:
    def register_with_hook() -> None:
        with files_follow_transaction(), transaction.atomic():
            register(dataset)
            transaction.on_commit(fail)

    with pytest.raises(IntegrityError):
        register_with_hook()
    assert ActivationMatrix.objects.get().absolute_path.is_file()


def test_a_file_that_nobody_would_delete_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="inside files_follow_transaction"):
        file_note(tmp_path / "x.npy")


def test_a_run_that_fails_while_writing_leaves_no_file(monkeypatch) -> None:
    study = make_study()
    rate_study(study, max_tasks=4)
    before = arrays()
    written: list[Path] = []

    def with_posterior(run: EstimateRun, scored: scoring.ScoredStudy) -> None:
        assert scored.aggregated is not None
        scoring._posterior_write(run, scored.aggregated)
        written.extend(arrays() - before)
        fail()

    monkeypatch.setattr(estimates, "study_scores_write", with_posterior)
    run = estimate_request(study=study, aggregation="bragg", enqueue=False)
    with pytest.raises(IntegrityError):
        estimate_run(run=run)
    run.refresh_from_db()
    assert run.status == RunStatus.FAILED
    assert len(written) == 2  # posterior mean and deviation had been written
    assert arrays() == before
