"""The Django application."""

from django.apps import AppConfig
from django.core.checks import Tags, register


class AnnotationConfig(AppConfig):
    """Studies, tasks, raters, ratings, estimates."""

    name = "annotation"
    verbose_name = "Annotation"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks."""
        from annotation.checks import templates_compile  # needs loaded apps

        register(templates_compile, Tags.templates)
