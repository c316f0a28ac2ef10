"""The admin shows everything and changes little: what is measured is written by services alone."""

from annotation.admin import background, panels, raters, studies

__all__ = ["background", "panels", "raters", "studies"]
