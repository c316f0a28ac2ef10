"""The contrast check itself: what it finds, what it lets pass, what it says it cannot judge."""

from collections.abc import Callable

from playwright.sync_api import Page

from tests.browser.contrast import poor_contrast

PAGE = """
<body style="background: white">
  <p style="color: #767676">just enough</p>
  <p style="color: #777">not enough</p>
  <p style="color: #777; font-size: 24px">enough for its size</p>
  <div style="background: #222"><p style="color: #555">dark on dark</p></div>
  <p style="opacity: .5"><b>faded</b></p>
  <p style="background: linear-gradient(white, black)">graded</p>
  <p style="color: #0008">thin</p>
  <p style="color: white; visibility: hidden">unseen</p>
  <button disabled style="color: #999; background: white">disabled</button>
</body>
"""


def test_poor_contrast_is_found_and_what_cannot_be_judged_is_named(
    open_page: Callable[..., Page],
) -> None:
    page = open_page()
    page.set_content(PAGE)
    not_judged = "on an image or half transparent, not judged"
    assert poor_contrast(page) == [
        "not enough: contrast 4.48",
        "dark on dark: contrast 2.13",
        f"faded: {not_judged}",
        f"graded: {not_judged}",
        f"thin: {not_judged}",
    ]
