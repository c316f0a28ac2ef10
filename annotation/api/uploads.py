"""Files that come with a request, or lie on the server where researchers may take them from."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from rest_framework import serializers
from rest_framework.parsers import MultiPartParser

from annotation.api.parsers import SafeJSONParser
from annotation.datafiles import path_allowed
from annotation.services.imports_of_files import upload_on_disk

#: A JSON body names a file on the server; a form carries it.
PARSERS = [SafeJSONParser, MultiPartParser]

#: Of a file's or folder's name, in every file system that matters.
MAX_NAME_BYTES = 255


class ServerPath(serializers.CharField):
    """A file or folder in one of the site's dataset folders."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            max_length=500,
            required=False,
            default="",
            allow_blank=True,
            help_text="A file or folder in one of the dataset folders of the site.",
            **options,
        )

    def to_internal_value(self, data: Any) -> str:
        """Refuse names that no file system has."""
        path = super().to_internal_value(data)
        if any(len(part.encode()) > MAX_NAME_BYTES for part in path.split("/")):
            raise serializers.ValidationError(
                f"A part of the path has more than {MAX_NAME_BYTES} bytes; no file has such a name."
            )
        return str(path)


class SourceInput(serializers.Serializer[dict[str, Any]]):
    """A file: uploaded, or named by its path on the server."""

    file = serializers.FileField(required=False, allow_null=True, default=None)
    path = ServerPath()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Take one of the two."""
        if bool(attrs.get("file")) == bool(attrs.get("path")):
            raise serializers.ValidationError(
                {"file": "Upload a file, or give the path of one on the server: one of the two."}
            )
        return attrs


def source_of(given: dict[str, Any], **options: Any) -> AbstractContextManager[Path]:
    """Open what a request uploads or names; an upload is gone afterwards.

    Parameters
    ----------
    given : dict
        From a `SourceInput`.
    **options
        Of `upload_on_disk`: the kinds that are taken.

    Returns
    -------
    context manager of Path
    """
    if given["file"] is not None:
        return upload_on_disk(given["file"], **options)
    return nullcontext(path_allowed(given["path"]))
