"""A whole study from a study file: every part through the service that a page would use."""

from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from annotation import science
from annotation.exceptions import StudyFileProblem
from annotation.models import (
    ActivationMatrix,
    ConceptMatrix,
    ConceptMatrixRole,
    ProbeDataset,
    Study,
)
from annotation.services.eligibility import NewScreeningQuestion, screening_questions_set
from annotation.services.explanation_files import explanation_file_add, explanation_file_preview
from annotation.services.files import files_follow_transaction
from annotation.services.gold import gold_answers_add, gold_answers_read
from annotation.services.imports_of_files import (
    LABELS,
    activations_import,
    concept_matrix_import,
    dataset_import,
)
from annotation.services.launch import launch_checklist
from annotation.services.members import member_set
from annotation.services.quality import quality_policy_set
from annotation.services.recruitments import outcome_codes_set, recruitment_set
from annotation.services.studies import study_create
from annotation.services.study_changes import study_update
from annotation.study_file import StudyFile
from annotation.study_texts import CONSENT


@dataclass
class StudyFromFile:
    """What became of a study file.

    Attributes
    ----------
    study : Study
        The study.
    lines : list of str
        What was made and what was there already, a line each.
    """

    study: Study
    lines: list[str] = field(default_factory=list)


class _DryRun(Exception):  # noqa: N818 - it is no error: it rolls everything back
    """Carries the result out of the transaction that must not stand."""

    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result


def study_from_file(
    *, document: StudyFile, owner: AbstractBaseUser, dry_run: bool = False
) -> tuple[StudyFromFile, Any]:
    """Make everything that a study file describes, in one transaction, and look at the launch list.

    Parameters
    ----------
    document : StudyFile
        From `annotation.study_file.study_file_read`.
    owner : User
        Of the study, where the file names nobody.
    dry_run : bool
        Do it all, report it, and take it back: rows and files.

    Returns
    -------
    result : StudyFromFile
        The study; after a dry run it is not in the database.
    checklist : Checklist
        From `annotation.services.launch.launch_checklist`.

    Raises
    ------
    AnnotationError
        As the services say; nothing is left behind then.
    """
    try:
        return _made(document, owner, dry_run)
    except _DryRun as done:
        made: tuple[StudyFromFile, Any] = done.result
        return made


@files_follow_transaction()
@transaction.atomic
def _made(document: StudyFile, owner: AbstractBaseUser, dry_run: bool) -> tuple[StudyFromFile, Any]:
    maker = _Maker(document, owner)
    study = maker.study()
    made = StudyFromFile(study, maker.lines), launch_checklist(study=study)
    if dry_run:
        raise _DryRun(made)
    return made


class _Maker:
    """Goes through a study file from the dataset to the members."""

    def __init__(self, document: StudyFile, owner: AbstractBaseUser) -> None:
        self.document = document
        self.owner = self._user(document.study["owner"]) if "owner" in document.study else owner
        self.lines: list[str] = []

    def study(self) -> Study:
        """Make what is not there yet."""
        slug = self.document.study["slug"]
        existing = Study.objects.filter(slug=slug).first()
        if existing is not None:
            self.lines.append(
                f"The study {slug!r} exists ({existing.get_status_display()}); nothing was changed."
            )
            return existing
        dataset = self._dataset()
        layers = [self._activations(dataset, entry) for entry in self.document.activations]
        prior = self._matrix(dataset, self.document.prior, ConceptMatrixRole.PRIOR)
        reference = (
            self._matrix(dataset, self.document.reference, ConceptMatrixRole.REFERENCE)
            if self.document.reference
            else None
        )
        fields = self.document.study_fields()
        fields.setdefault("consent_text", CONSENT)
        study = study_create(
            owner=self.owner,
            dataset=dataset,
            concept_prior=prior,
            reference=reference,
            **fields,
        )
        self.lines.append(f"Study {slug!r}: made, a draft of {self.owner.get_username()}.")
        self._excluded(study)
        for entry in self.document.explanations:
            self._explanations(study, entry, layers)
        self._rules(study)
        for entry in self.document.members:
            member_set(study=study, actor=self.owner, **entry)
            self.lines.append(f"Member {entry['username']}: {entry['role']}.")
        return study

    def _user(self, name: str) -> AbstractBaseUser:
        user = get_user_model().objects.filter(username=name, is_active=True).first()
        if user is None:
            raise StudyFileProblem(
                f"study.owner: there is no account {name!r}; make one with `manage.py "
                "createsuperuser` or in the admin."
            )
        return user

    def _dataset(self) -> ProbeDataset:
        entry = self.document.dataset
        found = ProbeDataset.objects.filter(name=entry["name"]).first()
        if found is not None:
            self.lines.append(f"Dataset {found.name!r}: exists, {found.n_inputs} inputs.")
            return found
        if "source" not in entry:
            raise StudyFileProblem(
                f"dataset: there is none named {entry['name']!r} yet; say under 'source' which "
                "folder, manifest or text file it is made of."
            )
        made = dataset_import(
            name=entry["name"],
            source=self.document.path(entry["source"]),
            copy=entry.get("copy", False),
            description=entry.get("description", ""),
            actor=self.owner,
        )
        self.lines.append(f"Dataset {made.dataset.name!r}: {made.dataset.n_inputs} inputs.")
        self.lines += made.notes
        if made.reference is not None:
            self.lines.append(
                f"Reference labels {LABELS!r}: {made.reference.shape[1]} columns of the manifest."
            )
        return made.dataset

    def _activations(self, dataset: ProbeDataset, entry: dict[str, Any]) -> ActivationMatrix:
        model, layer, pool = entry["model"], entry["layer"], entry.get("pool", "none")
        found = dataset.activation_matrices.filter(model_name=model, layer=layer, pool=pool).first()
        if found is not None:
            self.lines.append(f"Activations {found}: registered already.")
            return found
        made = activations_import(
            dataset=dataset,
            model_name=model,
            layer=layer,
            pool=pool,
            source=self.document.path(self._file(entry, f"activations of {model} {layer}")),
            key=entry.get("key"),
        )
        self.lines.append(f"Activations {made}: {made.shape[1]} neurons.")
        return made

    def _matrix(self, dataset: ProbeDataset, entry: dict[str, Any], role: str) -> ConceptMatrix:
        name = entry["name"]
        found = dataset.concept_matrices.filter(name=name, role=role).first()
        if found is not None:
            self.lines.append(f"{found}: registered already.")
            return found
        texts = None
        if "concepts" in entry:
            texts = science.texts_read(self.document.path(entry["concepts"]))
        made = concept_matrix_import(
            dataset=dataset,
            name=name,
            role=role,
            source=self.document.path(self._file(entry, f"{role} {name!r}")),
            key=entry.get("key"),
            concepts=texts,
        )
        self.lines.append(f"{made}: {made.shape[1]} concepts.")
        return made

    def _file(self, entry: dict[str, Any], what: str) -> str:
        if "file" not in entry:
            raise StudyFileProblem(
                f"{what}: not registered for the dataset yet; say under 'file' where it is."
            )
        return str(entry["file"])

    def _excluded(self, study: Study) -> None:
        slugs = self.document.study.get("excluded_studies", [])
        if not slugs:
            return
        found = {row.slug: row for row in Study.objects.filter(slug__in=slugs)}
        missing = [slug for slug in slugs if slug not in found]
        if missing:
            raise StudyFileProblem(f"study.excluded_studies: there is no study {missing[0]!r}.")
        study_update(study=study, actor=self.owner, excluded_studies=list(found.values()))

    def _explanations(
        self, study: Study, entry: dict[str, Any], layers: list[ActivationMatrix]
    ) -> None:
        method = entry["method"]
        chosen = [
            matrix
            for matrix in layers
            if entry.get("layer", matrix.layer) == matrix.layer
            and entry.get("model", matrix.model_name) == matrix.model_name
        ]
        named = "layer" in entry or "model" in entry
        if named and len(chosen) != 1:
            raise StudyFileProblem(
                f"explanations of {method!r}: layer and model fit {len(chosen)} of the "
                "[[activations]]; name exactly one."
            )
        if entry.get("first_unit", 0) not in (0, 1):
            raise StudyFileProblem(f"explanations of {method!r}: first_unit is 0 or 1.")
        preview = explanation_file_preview(
            study=study,
            source=self.document.path(entry["file"]),
            method=method,
            activations=chosen[0] if named else None,
            first_unit=entry.get("first_unit"),
        )
        added = explanation_file_add(
            study=study, preview=preview, actor=self.owner, partly=entry.get("partly", False)
        )
        refused = f", {preview.n_refused} left out" if preview.n_refused else ""
        self.lines.append(
            f"Explanations by {method}: {len(added)} neurons ({preview.format}){refused}."
        )

    def _rules(self, study: Study) -> None:
        """Policy, gold answers, screening questions and recruitment."""
        if self.document.policy:
            quality_policy_set(study=study, actor=self.owner, **self.document.policy)
            self.lines.append(f"Quality policy: {', '.join(sorted(self.document.policy))}.")
        if self.document.gold:
            text = self.document.text(self.document.gold["file"], "gold.file")
            answers = gold_answers_read(study=study, text=text)
            gold_answers_add(study=study, answers=answers, actor=self.owner)
            self.lines.append(f"Gold answers: {len(answers)}.")
        if self.document.screening:
            questions = [NewScreeningQuestion(**entry) for entry in self.document.screening]
            screening_questions_set(study=study, questions=questions, actor=self.owner)
            self.lines.append(f"Screening: {len(questions)} questions.")
        for entry in self.document.recruitment:
            self._recruitment(study, dict(entry))

    def _recruitment(self, study: Study, entry: dict[str, Any]) -> None:
        channel = entry.pop("channel")
        codes = entry.pop("codes", {})
        if "reward" in entry:
            entry["reward_minor"] = round(100 * entry.pop("reward"))
        recruitment = recruitment_set(study=study, channel=channel, actor=self.owner, **entry)
        if codes:
            outcome_codes_set(recruitment=recruitment, codes=codes, actor=self.owner)
        self.lines.append(f"Recruitment: {recruitment.get_channel_display()}.")
