"""`manage.py create_study`: the example is valid, bad files are named, nothing is done twice."""

import io
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from annotation.models import ConceptMatrix, ProbeDataset, Study, StudyStatus
from tests.annotation.factories import make_user
from tests.annotation.factories_researcher import study_folder

pytestmark = pytest.mark.django_db
EXAMPLE = Path(__file__).parents[3] / "docs" / "study.example.toml"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    make_user("boss", is_staff=True)
    return study_folder(tmp_path, EXAMPLE)


def run(file: Path, *options: str) -> str:
    out = io.StringIO()
    call_command("create_study", str(file), *options, stdout=out)
    return out.getvalue()


def arrays() -> set[Path]:
    return {path for path in Path(settings.DATA_DIR).rglob("*") if path.is_file()}


def test_the_example_makes_and_launches_a_study(file: Path) -> None:
    said = run(file, "--launch")
    study = Study.objects.get(slug="digits-example")
    assert study.status == StudyStatus.OPEN
    assert "Explanations by CLIP-Dissect: 3 neurons (CLIP-Dissect)." in said
    assert "Launched: raters come to /r/digits-example/." in said
    assert study.reference is not None
    assert (study.dataset.n_inputs, study.reference.name) == (20, "labels")
    assert study.sampling_parameters == {"gamma": 0.2}
    assert study.screening_questions.get().accepted == ["yes"]
    assert study.items.filter(n_draws__gte=1).exists()
    assert study.quality_policy.tasks_per_rater == 4
    assert study.consent_text.startswith("You are invited")


def test_it_can_be_repeated(file: Path) -> None:
    run(file)
    again = run(file)
    assert "The study 'digits-example' exists (draft); nothing was changed." in again
    assert Study.objects.count() == ProbeDataset.objects.count() == 1
    assert "Launched" in run(file, "--launch")
    assert "is open to raters" in run(file, "--launch")


def test_a_second_study_uses_what_exists(file: Path) -> None:
    run(file)
    text = file.read_text().replace('slug = "digits-example"', 'slug = "second"')
    file.write_text(text)
    said = run(file)
    assert "Dataset 'Digits of the example': exists, 20 inputs." in said
    assert "Activations tiny conv1: registered already." in said
    assert ConceptMatrix.objects.count() == 2
    assert Study.objects.get(slug="second").dataset == ProbeDataset.objects.get()


def folders() -> set[Path]:
    """Folders that inputs were copied to."""
    return set((Path(settings.DATA_DIR) / "datasets").glob("*"))


def test_a_dry_run_leaves_nothing(file: Path) -> None:
    before, copied = arrays(), folders()
    said = run(file, "--dry-run", "--launch")
    assert "Dry run: all of it was taken back." in said
    assert "ok    Explanations: 3 explanations by 1 method." in said
    assert not Study.objects.exists()
    assert not ProbeDataset.objects.exists()
    assert arrays() == before
    assert folders() == copied


def test_a_failing_step_leaves_nothing(file: Path) -> None:
    before, copied = arrays(), folders()
    (file.parent / "clip_dissect.csv").write_text("unit,description,similarity\n7,ufo,1\n")
    with pytest.raises(CommandError, match="the layer has neurons 0 to 2"):
        run(file)
    assert not ProbeDataset.objects.exists()
    assert arrays() == before
    assert folders() == copied


def test_a_study_that_is_not_ready_is_not_launched(file: Path) -> None:
    text = file.read_text().replace("rating_budget = 1000", "rating_budget = 10")
    file.write_text(text)
    with pytest.raises(
        CommandError, match=r"cannot be launched yet\. Rating budget: .* are needed"
    ):
        run(file, "--launch")
    assert Study.objects.get().status == StudyStatus.DRAFT


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("redundancy = 3", "redundancie = 3", "study: the key 'redundancie' is not known; did you"),
        ("[policy]", "[polcy]", "the key 'polcy' is not known; did you mean 'policy'"),
        ("redundancy = 3", 'redundancy = "3"', "study: redundancy is '3', expected a whole number"),
        ("redundancy = 3", "redundancy = true", "redundancy is True, expected a whole number"),
        ("rating_budget = 1000", "", "study: the key 'rating_budget' is missing"),
        ("[[explanations]]", "[explanations]", r"write \[\[explanations\]\]"),
        ("redundancy = 3", "redundancy = ", "it is no TOML"),
        ('source = "digits"', 'source = "nowhere"', "nowhere"),
        ("# owner = ", "owner = ", "owner: there is no account 'researcher'"),
        ('file = "prior.csv"', "", "say under 'file' where it is"),
        ('language = "en"', 'sampling_design = "guess"', "sampling_design"),
    ],
)
def test_bad_files_are_named(file: Path, old: str, new: str, message: str) -> None:
    text = file.read_text()
    assert old in text
    if "sampling_design" in new:
        text = text.replace('sampling_design = "model_guided"', "#")
    file.write_text(text.replace(old, new))
    with pytest.raises(CommandError, match=message):
        run(file)
    assert not Study.objects.exists()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="there is no such file"):
        run(tmp_path / "none.toml", "--owner", "x")


def test_gold_recruitment_and_members(file: Path) -> None:
    make_user("colleague")
    rows = [f"{topic},{index},present,hidden," for topic in ("stripes", "dots") for index in (1, 2)]
    rows.append("rings,003.png,absent,example,No ring.")
    text = "\n".join(["concept,input,value,use,feedback", *rows])
    (file.parent / "gold.csv").write_text(text + "\n")
    (file.parent / "consent.txt").write_text("I agree.\n")
    more = """
[gold]
file = "gold.csv"
[[recruitment]]
channel = "prolific"
reward = 1.5
fee_percent = 33.3
places = 20
codes = { completed = "DONE1234" }
[[members]]
username = "colleague"
role = "viewer"
"""
    start = file.read_text().replace("# spending_cap = 250.00", "spending_cap = 250.00")
    start = start.replace('language = "en"', 'language = "de"\nconsent_file = "consent.txt"')
    file.write_text(start + more)
    said = run(file)
    study = Study.objects.get()
    assert study.gold_answers.count() == 5
    prolific = study.recruitments.get(channel="prolific")
    assert (prolific.reward_minor, prolific.places) == (150, 20)
    assert prolific.codes.get(outcome="completed").code == "DONE1234"
    assert study.members.get().role == "viewer"
    assert (study.consent_text, study.language, study.spending_cap_minor) == (
        "I agree.",
        "de",
        25_000,
    )
    assert "Cost within the cap: 40.00 GBP for the places planned" in said


def test_a_training_without_its_items_is_named_and_not_launched(file: Path) -> None:
    policy = "[policy]\ntraining_items = 5\ntraining_pass_mark = 4\n"
    file.write_text(re.sub(r"(?m)^\[policy\].*$", lambda _: policy, file.read_text()))
    said = run(file)
    assert "5 training items asked for, 0 there. Raters would not be trained at all." in said
    assert "Add 5 known answers for training, or ask for 0" in said
    with pytest.raises(CommandError, match="5 training items asked for"):
        run(file, "--launch")
