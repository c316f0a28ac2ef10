"""What a researcher sends of a dataset: paths and files, checked further by services."""

from typing import Any

from django import forms

from annotation.datafiles import dataset_roots
from annotation.models import ActivationMatrix, ConceptMatrixRole, ProbeDataset
from annotation.science import FirstUnit

POOLS = [
    ("none", "not pooled: one number an input already"),
    ("avg", "mean over positions"),
    ("max", "maximum over positions"),
    ("token", "at the highlighted token"),
]
ROLES = [
    (ConceptMatrixRole.PRIOR.value, "concept prior: probabilities from a cheap model"),
    (ConceptMatrixRole.REFERENCE.value, "reference labels: known truth"),
]


class SeveralFilesInput(forms.ClearableFileInput):
    """A file input that takes several files."""

    allow_multiple_selected = True


class SeveralFilesField(forms.FileField):
    """Several uploaded files, perhaps none."""

    widget = SeveralFilesInput

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        """Check every file by itself."""
        files = data if isinstance(data, list | tuple) else [data] if data else []
        return [super(SeveralFilesField, self).clean(file, initial) for file in files]


class DatasetForm(forms.Form):
    """A new dataset: where its inputs are."""

    name = forms.CharField(max_length=200, help_text="Researchers see it; raters never do.")
    description = forms.CharField(
        required=False, widget=forms.Textarea(attrs={"rows": 2}), help_text="For researchers."
    )
    path = forms.CharField(
        required=False,
        max_length=500,
        label="Folder or file on the server",
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none"}),
    )
    archive = forms.FileField(
        required=False,
        label="ZIP file of images",
        help_text="Perhaps with a manifest.csv. Inputs are in the order of their paths, sorted.",
    )
    images = SeveralFilesField(
        required=False,
        label="Or single images",
        help_text="PNG, JPEG, WebP or GIF; many as a ZIP file.",
    )
    table = forms.FileField(
        required=False,
        label="Manifest or texts",
        help_text="CSV with a column file or text, JSON lines, or a text file with one passage a "
        "line. Further columns of labels become reference labels.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        roots = ", ".join(map(str, dataset_roots()))
        self.fields["path"].help_text = (
            f"In {roots}: a folder of images, or a manifest (.csv), text file (.txt) or JSON lines "
            "(.jsonl). It is served from where it lies."
        )

    def clean(self) -> dict[str, Any]:
        """Take either a path or files."""
        cleaned = super().clean() or self.cleaned_data
        sent = any(cleaned.get(name) for name in ("archive", "images", "table"))
        if bool(cleaned.get("path")) == sent and not self.errors:
            raise forms.ValidationError(
                "Name a folder or file on the server, or upload files: one of the two."
            )
        return cleaned


class _ArrayForm(forms.Form):
    """A matrix from an upload or a file on the server."""

    file = forms.FileField(
        required=False,
        label="File",
        help_text=".npy, .npz, .safetensors, .csv, .tsv or .parquet; one row an input.",
    )
    path = forms.CharField(
        required=False,
        max_length=500,
        label="Or a file on the server",
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none"}),
        help_text="For large ones: a path within the dataset folders of this site.",
    )
    key = forms.CharField(
        required=False,
        max_length=200,
        label="Array in the file",
        help_text="Only where an .npz or .safetensors file holds several.",
    )

    def clean(self) -> dict[str, Any]:
        """Take either a file or a path."""
        cleaned = super().clean() or self.cleaned_data
        if bool(cleaned.get("file")) == bool(cleaned.get("path")) and not self.errors:
            raise forms.ValidationError("Upload a file or name one on the server: one of the two.")
        return cleaned


class ActivationsForm(_ArrayForm):
    """Activations of one layer."""

    field_order = ["model_name", "layer", "pool", "file", "path", "key"]
    model_name = forms.CharField(max_length=200, label="Model")
    layer = forms.CharField(
        max_length=200, help_text="As explanation files call it, where they name one."
    )
    pool = forms.ChoiceField(choices=POOLS, label="How a channel became one number")


class ConceptMatrixForm(_ArrayForm):
    """A concept prior or reference labels."""

    field_order = ["role", "name", "file", "path", "concepts", "key"]
    role = forms.ChoiceField(choices=ROLES, label="What it is")
    name = forms.CharField(max_length=200, help_text="Where it comes from: SigLIP, labels.")
    concepts = forms.FileField(
        required=False,
        label="Concepts",
        help_text="A text file with the concept of every column, one a line; a table names them "
        "in its first row.",
    )


class ExplanationFileForm(forms.Form):
    """A file with explanations by one method."""

    method = forms.CharField(
        max_length=200, help_text="Raters never see it. CLIP-Dissect, MILAN, ..."
    )
    file = forms.FileField(
        help_text="Result file of CLIP-Dissect, MILAN, Network Dissection, Describe-and-Dissect, "
        "linear explanations, or a CSV with the columns unit and text."
    )
    activations = forms.ModelChoiceField(
        ActivationMatrix.objects.none(),
        required=False,
        empty_label="as the file says",
        label="Layer",
        help_text="Needed where the file names no layer and the dataset has several.",
    )
    first_unit = forms.TypedChoiceField(
        choices=[("", "as the format has it"), ("0", "0"), ("1", "1")],
        coerce=int,
        empty_value=None,
        required=False,
        label="Number of the first neuron",
    )

    def __init__(self, *args: Any, dataset: ProbeDataset, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["activations"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101
        field.queryset = dataset.activation_matrices.order_by("model_name", "layer")

    def first(self) -> FirstUnit | None:
        """Give the number of the first neuron, None where the format decides.

        Returns
        -------
        {0, 1} or None
        """
        value: FirstUnit | None = self.cleaned_data["first_unit"]
        return value
