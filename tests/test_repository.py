"""What must hold of the repository as a whole."""

import platform
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_platform_is_the_standard_library() -> None:
    assert Path(platform.__file__).is_relative_to(sysconfig.get_paths()["stdlib"])
    assert not list((ROOT / "platform").glob("*.py")), (
        "a module directly in platform/ shadows the standard library's platform"
    )


def test_no_module_shadows_the_standard_library() -> None:
    packages = ["annotation", "demo", "estimation", "neuron_eval"]
    tops = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    assert not tops & sys.stdlib_module_names
    for package in packages:
        names = {path.stem for path in (ROOT / package).glob("*.py")}
        assert "selectors" not in names, package


def test_every_folder_of_tests_is_a_package() -> None:
    missing = [
        folder
        for folder in {path.parent for path in (ROOT / "tests").rglob("test_*.py")}
        if not (folder / "__init__.py").exists()
    ]
    assert not missing, "without __init__.py, tests/annotation shadows annotation"


@pytest.mark.parametrize(
    "statement", ["import annotation.urls", "import annotation.services.studies"]
)
def test_the_web_process_starts_without_torch_and_pymc(statement: str) -> None:
    code = (
        "import os, sys, django\n"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'neuronjury.settings.test'\n"
        "django.setup()\n"
        f"{statement}\n"
        "heavy = {'torch', 'pymc', 'nutpie', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_nothing_is_unpickled() -> None:
    forbidden = re.compile(r"\bpickle\.load|torch\.load\(|joblib\.load\(|allow_pickle\s*=\s*True")
    offenders = [
        path.relative_to(ROOT)
        for path in tracked_files()
        if path.suffix == ".py"
        and path != Path(__file__)
        and forbidden.search(path.read_text())
        and "tests" not in path.parts
    ]
    assert not offenders


def test_no_absolute_path_of_a_machine_is_committed() -> None:
    forbidden = re.compile(r"/(home|root|Users)/\w|/work/\w|\.\./shared")
    offenders = [
        path.relative_to(ROOT)
        for path in tracked_files()
        if path.suffix in {".py", ".md", ".toml", ".html", ".js", ".css", ".sh", ""}
        and path != Path(__file__)
        and forbidden.search(path.read_text(errors="ignore"))
    ]
    assert not offenders


@pytest.mark.parametrize("target", ["demo", "serve", "test", "check", "bench", "clean"])
def test_every_make_target_is_documented(target: str) -> None:
    assert re.search(rf"^{target}:.*## \w", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert (
        f"make {target}"
        in (ROOT / "README.md").read_text() + (ROOT / "docs" / "development.md").read_text()
    )


@pytest.mark.parametrize(
    "command",
    sorted(p.stem for p in (ROOT / "annotation/management/commands").glob("[a-z]*.py")),
)
def test_every_command_is_in_the_reference(command: str) -> None:
    assert f"`{command} " in (ROOT / "docs/reference.md").read_text()


def test_every_environment_variable_is_documented() -> None:
    documented = (ROOT / "docs/reference.md").read_text()
    for path in (ROOT / "platform/neuronjury/settings").glob("*.py"):
        for name in re.findall(r"environ(?:\.get\(|\[)\s*\"(\w+)\"", path.read_text()):
            assert f"`{name}" in documented, f"{name} of {path.name} is not in docs/reference.md"


def test_links_between_the_docs_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", prose):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
