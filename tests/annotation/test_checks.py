"""The system check of the templates."""

from pathlib import Path

from django.test import override_settings

from annotation.checks import templates_compile


def test_our_templates_compile() -> None:
    assert templates_compile() == []


def test_a_broken_template_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "broken.html").write_text("{% if %}")
    backend = {"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [tmp_path]}
    with override_settings(TEMPLATES=[backend]):
        (error,) = templates_compile()
    assert "sub/broken.html" in error.msg
