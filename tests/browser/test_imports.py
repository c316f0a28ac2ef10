"""Old ratings are imported in a real browser; both pages by axe, wide and narrow."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page

from annotation.models import Rating, Study
from tests.browser.researcher import log_in, look


def test_a_file_is_looked_at_and_imported(
    open_page: Callable[..., Page], live_server, study: Study, tmp_path: Path
) -> None:
    items = list(study.items.select_related("probe_input", "concept").order_by("pk")[:6])
    lines = [
        f"{item.probe_input.index},W{n},yes,{item.concept.text}" for n, item in enumerate(items)
    ]
    lines += [f"9999,W1,yes,{items[0].concept.text}", "1,W1,no,unicorn"]
    path = tmp_path / "Ratings of last year, all of them, before they were sorted.csv"
    path.write_text("\n".join(["task,worker,label,concept", *lines]))
    page = open_page(bypass_csp=True)
    page.expected.append("422")  # type: ignore[attr-defined]
    log_in(page, live_server.url, study.owner.get_username())
    page.goto(f"{live_server.url}/studies/handwriting/")
    page.get_by_role("link", name="Imports").click()
    found = look(page, "imports")
    page.get_by_label("File", exact=True).set_input_files(path)
    page.get_by_role("button", name="Look at the file").click()
    page.get_by_text("No rating of the file fits the study.").wait_for()
    page.get_by_label("Labels that mean present").fill("yes")
    page.get_by_role("button", name="Look at it again").click()
    page.get_by_role("button", name="Import the 6 that fit").wait_for()
    page.get_by_text("Line by line").click()
    found += look(page, "imports-check", both=True)
    page.get_by_label("Labels that mean absent").fill("yes")
    page.get_by_role("button", name="Look at it again").click()
    page.get_by_text("is in two of the lists").first.wait_for()
    found += look(page, "imports-wrong")
    page.get_by_label("Labels that mean absent").fill("no")
    page.get_by_role("button", name="Look at the file").click()
    page.get_by_role("button", name="Import the 6 that fit").click()
    page.get_by_text("Imported: 6 ratings of 6 items.").wait_for()
    found += look(page, "imports-done")
    assert found == []
    assert Rating.objects.count() == 6
