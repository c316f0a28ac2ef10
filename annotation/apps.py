"""The Django application."""

from django.apps import AppConfig


class AnnotationConfig(AppConfig):
    """Studies, tasks, raters, ratings, estimates."""

    name = "annotation"
    verbose_name = "Annotation"
    default_auto_field = "django.db.models.BigAutoField"
