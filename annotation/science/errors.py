"""Errors of the science, told as errors of the web app."""

from collections.abc import Iterator
from contextlib import contextmanager

from annotation.exceptions import AnnotationError


@contextmanager
def named(what: str, error_class: type[AnnotationError]) -> Iterator[None]:
    """Turn an error of the science (all are ValueError) into one that says what it is about.

    Parameters
    ----------
    what : str
        The study's name for it: this neuron, that concept.
    error_class : type
        What is raised instead.

    Raises
    ------
    AnnotationError
        Of that class.
    """
    try:
        yield
    except ValueError as error:
        raise error_class(f"{what}: {error}") from error
