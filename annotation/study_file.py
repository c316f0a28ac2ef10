"""Study files: a whole study as one TOML file, read strictly; `manage.py create_study` makes it."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annotation.exceptions import StudyFileProblem
from annotation.models import QualityPolicy
from annotation.services.study_changes import DRAFT_FIELDS

NUMBER = (int, float)
#: Long texts may stand in files beside the study file.
TEXT_FILES = {
    "instructions_file": "instructions",
    "consent_file": "consent_text",
    "debrief_file": "debrief",
}
STUDY_TEXTS = [
    "slug",
    "title",
    "question",
    "instructions",
    "consent_text",
    "consent_version",
    "debrief",
    "contact",
    "language",
    "sampling_design",
    "aggregation",
    "estimator",
    "currency",
]
STUDY_NUMBERS = [
    "seed",
    "inputs_per_pair",
    "redundancy",
    "items_per_task",
    "rating_budget",
    "lease_seconds",
]
_STUDY: dict[str, Any] = {
    **dict.fromkeys(STUDY_TEXTS, str),
    **dict.fromkeys(STUDY_NUMBERS, int),
    **dict.fromkeys(TEXT_FILES, str),
    "owner": str,
    "spending_cap": NUMBER,
    "sampling_parameters": dict,
    "excluded_studies": list,
}
_POLICY: dict[str, Any] = {
    name: bool if name == "bundle_concepts" else NUMBER if name == "gold_minimum_accuracy" else int
    for name in (row.name for row in QualityPolicy._meta.concrete_fields)  # noqa: SLF001
    if name not in {"id", "study"}
}
_MATRIX: dict[str, Any] = {"name": str, "file": str, "key": str, "concepts": str}
#: Tables that stand once, and those that may stand several times.
TABLES: dict[str, dict[str, Any]] = {
    "study": _STUDY,
    "dataset": {"name": str, "source": str, "copy": bool, "description": str},
    "prior": _MATRIX,
    "reference": _MATRIX,
    "policy": _POLICY,
    "gold": {"file": str},
}
LISTS: dict[str, dict[str, Any]] = {
    "activations": {"model": str, "layer": str, "pool": str, "file": str, "key": str},
    "explanations": {
        "method": str,
        "file": str,
        "model": str,
        "layer": str,
        "first_unit": int,
        "partly": bool,
    },
    "screening": {"text": str, "choices": list, "accepted": list},
    "recruitment": {
        "channel": str,
        "active": bool,
        "id_parameter": str,
        "submission_parameter": str,
        "completion_url": str,
        "require_signature": bool,
        "reward": NUMBER,
        "fee_percent": NUMBER,
        "estimated_minutes": int,
        "places": int,
        "codes": dict,
    },
    "members": {"username": str, "role": str},
}
REQUIRED = {
    "study": ("slug", "title", "rating_budget"),
    "dataset": ("name",),
    "prior": ("name",),
    "reference": ("name",),
    "activations": ("model", "layer"),
    "explanations": ("method", "file"),
    "screening": ("text", "choices", "accepted"),
    "recruitment": ("channel",),
    "members": ("username", "role"),
    "gold": ("file",),
}
WORDS = {
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    dict: "a table",
    list: "a list",
}


@dataclass(frozen=True)
class StudyFile:
    """What a study file says.

    Attributes
    ----------
    folder : Path
        What its paths are relative to.
    study, dataset, prior : dict
        The tables of these names.
    reference, policy, gold : dict
        The same, empty where the file has none.
    activations, explanations, screening, recruitment, members : list of dict
        The tables of these names, which may stand several times.
    """

    folder: Path
    study: dict[str, Any]
    dataset: dict[str, Any]
    prior: dict[str, Any]
    reference: dict[str, Any] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)
    gold: dict[str, Any] = field(default_factory=dict)
    activations: list[dict[str, Any]] = field(default_factory=list)
    explanations: list[dict[str, Any]] = field(default_factory=list)
    screening: list[dict[str, Any]] = field(default_factory=list)
    recruitment: list[dict[str, Any]] = field(default_factory=list)
    members: list[dict[str, Any]] = field(default_factory=list)

    def path(self, relative: str) -> Path:
        """Find a file that the study file names.

        Parameters
        ----------
        relative : str
            Relative to the study file, or absolute.

        Returns
        -------
        Path
        """
        return self.folder / Path(relative).expanduser()

    def text(self, relative: str, key: str) -> str:
        """Read a text file that the study file names.

        Parameters
        ----------
        relative : str
            Relative to the study file, or absolute.
        key : str
            Where it is named, for the message.

        Returns
        -------
        str

        Raises
        ------
        StudyFileProblem
            When it cannot be read.
        """
        path = self.path(relative)
        try:
            return path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise StudyFileProblem(
                f"{key}: {path.name!r} cannot be read ({error}); correct the path, or save it as "
                "UTF-8."
            ) from error

    def study_fields(self) -> dict[str, Any]:
        """Give the fields of the study as services take them; long texts are read from files.

        Returns
        -------
        dict
            Names of `annotation.services.study_changes.DRAFT_FIELDS`, but dataset and matrices.

        Raises
        ------
        StudyFileProblem
            When a text stands twice, or its file cannot be read.
        """
        values = {name: value for name, value in self.study.items() if name in DRAFT_FIELDS}
        values.pop("excluded_studies", None)
        for name, target in TEXT_FILES.items():
            if name not in self.study:
                continue
            if target in values:
                raise StudyFileProblem(f"study: {name} and {target} both stand there; keep one.")
            values[target] = self.text(self.study[name], f"study.{name}").strip()
        if "spending_cap" in self.study:
            values["spending_cap_minor"] = round(100 * self.study["spending_cap"])
        return values


def study_file_read(path: Path) -> StudyFile:
    """Read a study file; every key must be known and of the right kind.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    StudyFile

    Raises
    ------
    StudyFileProblem
        When it cannot be read, or a key is unknown (the nearest one is named), missing or of
        another kind.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StudyFileProblem(f"{path}: there is no such file; correct the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyFileProblem(f"{path}: it cannot be read ({error}).") from error
    except tomllib.TOMLDecodeError as error:
        raise StudyFileProblem(f"{path}: it is no TOML: {error}.") from error
    _keys_require("", document, {**TABLES, **LISTS})
    for name in ("study", "dataset", "prior"):
        if name not in document:
            raise StudyFileProblem(f"[{name}]: the file has no such table; see the example.")
    tables: dict[str, Any] = {}
    for name, content in document.items():
        if name in TABLES:
            tables[name] = _table(name, content, TABLES[name])
            continue
        if not isinstance(content, list):
            raise StudyFileProblem(f"[{name}]: write [[{name}]]: it may stand several times.")
        tables[name] = [
            _table(f"{name} {number}", entry, LISTS[name])
            for number, entry in enumerate(content, start=1)
        ]
    return StudyFile(folder=path.resolve().parent, **tables)


def _table(what: str, content: Any, schema: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise StudyFileProblem(f"{what}: found {content!r}, expected a table of keys and values.")
    _keys_require(what, content, schema)
    for key in REQUIRED.get(what.split(" ")[0], ()):
        if key not in content:
            raise StudyFileProblem(f"{what}: the key {key!r} is missing; add it.")
    for key, value in content.items():
        wanted = schema[key]
        is_bool = isinstance(value, bool)
        if not isinstance(value, wanted) or (is_bool and wanted is not bool):
            word = WORDS.get(wanted, "a number") if isinstance(wanted, type) else "a number"
            raise StudyFileProblem(f"{what}: {key} is {value!r}, expected {word}.")
    return content


def _keys_require(what: str, content: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for key in content:
        if key in known:
            continue
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}."
        place = f"{what}: " if what else ""
        raise StudyFileProblem(f"{place}the key {key!r} is not known; {hint}")
