"""Datasets: inputs, activations on them, concept matrices over them."""

from typing import Any, TypeVar

from django.core.exceptions import PermissionDenied
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ListView, once
from annotation.api.uploads import PARSERS, ServerPath, SourceInput, source_of
from annotation.datafiles import path_allowed
from annotation.models import (
    ActivationMatrix,
    ConceptMatrix,
    ConceptMatrixRole,
    Modality,
    ProbeDataset,
)
from annotation.permissions import may_delete_of
from annotation.services.datasets import matrix_delete, probe_dataset_delete
from annotation.services.imports_of_files import (
    activations_import,
    concept_matrix_import,
    dataset_import,
    dataset_upload,
)

Matrix = TypeVar("Matrix", ActivationMatrix, ConceptMatrix)

POOLS = ("none", "avg", "max", "token")
OWN_ROLES = (ConceptMatrixRole.PRIOR, ConceptMatrixRole.REFERENCE)


class DatasetSerializer(serializers.ModelSerializer[ProbeDataset]):
    """What neurons are measured on; input i is row i of every matrix."""

    id = serializers.IntegerField(source="pk")
    modality = serializers.ChoiceField(choices=Modality.choices)

    class Meta:
        model = ProbeDataset
        fields = ["id", "name", "modality", "n_inputs", "description", "created_at"]
        read_only_fields = fields


class DatasetMade(serializers.Serializer[Any]):
    """A dataset that was registered, its own labels where it has some, and what was left out."""

    dataset = DatasetSerializer()
    reference = serializers.CharField(source="reference.name", default=None, allow_null=True)
    notes = serializers.ListField(child=serializers.CharField())


class DatasetInput(serializers.Serializer[dict[str, Any]]):
    """A new dataset: a folder or file on the server, or uploaded files."""

    name = serializers.CharField(max_length=200)
    description = serializers.CharField(
        max_length=5000, required=False, allow_blank=True, default=""
    )
    path = ServerPath()
    archive = serializers.FileField(
        required=False, allow_null=True, default=None, help_text="A ZIP file of images."
    )
    images = serializers.ListField(
        child=serializers.FileField(),
        required=False,
        default=list,
        max_length=10_000,
        help_text="Single images instead of a ZIP file.",
    )
    table = serializers.FileField(
        required=False,
        allow_null=True,
        default=None,
        help_text="A manifest (CSV), JSON lines, or a text file with one passage a line.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Take a path or files."""
        if bool(attrs["path"]) == bool(attrs["archive"] or attrs["images"] or attrs["table"]):
            raise serializers.ValidationError(
                {"path": "Name a folder or file on the server, or upload files: one of the two."}
            )
        return attrs


class ActivationsSerializer(serializers.ModelSerializer[ActivationMatrix]):
    """Activations of one layer; `shape` is inputs, neurons."""

    id = serializers.IntegerField(source="pk")
    shape = serializers.ListField(child=serializers.IntegerField())

    class Meta:
        model = ActivationMatrix
        fields = ["id", "model_name", "layer", "pool", "shape", "dtype", "sha256", "created_at"]
        read_only_fields = fields


class ActivationsInput(SourceInput):
    """Activations of one layer: .npy, .npz, .safetensors, .csv, .tsv or .parquet."""

    model_name = serializers.CharField(max_length=200)
    layer = serializers.CharField(max_length=200)
    pool = serializers.ChoiceField(
        choices=POOLS, required=False, default="none", help_text="How a channel became one number."
    )
    key = serializers.CharField(
        max_length=200,
        required=False,
        allow_blank=True,
        default="",
        help_text="Which array, where the file holds several.",
    )


class MatrixSerializer(serializers.ModelSerializer[ConceptMatrix]):
    """Concept vectors; `shape` is inputs, concepts."""

    id = serializers.IntegerField(source="pk")
    role = serializers.ChoiceField(choices=ConceptMatrixRole.choices)
    shape = serializers.ListField(child=serializers.IntegerField())

    class Meta:
        model = ConceptMatrix
        fields = ["id", "name", "role", "shape", "dtype", "sha256", "created_at"]
        read_only_fields = fields


class MatrixInput(SourceInput):
    """A concept prior or reference labels, in the formats of activations."""

    name = serializers.CharField(max_length=200, help_text="Where it comes from.")
    role = serializers.ChoiceField(choices=[(role.value, role.label) for role in OWN_ROLES])
    key = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    concepts = serializers.ListField(
        child=serializers.CharField(max_length=500),
        required=False,
        default=list,
        max_length=100_000,
        help_text="Text of every column, where the file does not name them.",
    )


class DatasetListView(ListView):
    """``/api/datasets/``."""

    parser_classes = PARSERS

    @extend_schema(responses=DatasetSerializer(many=True))
    def get(self, request: Request) -> Response:  # noqa: ARG002 - DRF's
        """List the datasets of the site; every researcher may use them."""
        return self.page(ProbeDataset.objects.order_by("-created_at", "-pk"), DatasetSerializer)

    @extend_schema(request=DatasetInput, responses={201: DatasetMade})
    @once
    def post(self, request: Request) -> Response:  # noqa: ARG002 - DRF's
        """Register a dataset from a folder, manifest or text file.

        Columns of labels in a manifest become reference labels.
        """
        given = self.given(DatasetInput)
        path = given.pop("path")
        files = {name: given.pop(name) for name in ("archive", "images", "table")}
        if path:
            made = dataset_import(source=path_allowed(path), actor=self.actor, **given)
        else:
            made = dataset_upload(actor=self.actor, **files, **given)
        return Response(DatasetMade(made).data, status=status.HTTP_201_CREATED)


class _OfDataset(ListView):
    parser_classes = PARSERS

    def dataset(self, dataset_id: int) -> ProbeDataset:
        """Get a dataset.

        Parameters
        ----------
        dataset_id : int
            From the address.

        Returns
        -------
        ProbeDataset

        Raises
        ------
        Http404
            When there is none.
        """
        found = ProbeDataset.objects.filter(pk=dataset_id).first()
        if found is None:
            raise Http404(f"There is no dataset {dataset_id}.")
        return found

    def own_dataset(self, request: Request, dataset_id: int) -> ProbeDataset:
        """Get a dataset of which somebody may delete.

        Parameters
        ----------
        request : Request
            Who asks.
        dataset_id : int
            From the address.

        Returns
        -------
        ProbeDataset

        Raises
        ------
        Http404
            When there is none.
        PermissionDenied
            When they neither registered it nor are staff.
        """
        dataset = self.dataset(dataset_id)
        if not may_delete_of(request.user, dataset):
            raise PermissionDenied("Only who registered the dataset, or staff, may delete of it.")
        return dataset


class DatasetView(_OfDataset):
    """``/api/datasets/<id>/``."""

    @extend_schema(responses=DatasetSerializer)
    def get(self, request: Request, dataset_id: int) -> Response:  # noqa: ARG002 - DRF's
        """Show a dataset."""
        return Response(DatasetSerializer(self.dataset(dataset_id)).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, dataset_id: int) -> Response:
        """Delete a dataset that no study uses; who registered it, or staff, may. Its files stay."""
        probe_dataset_delete(dataset=self.own_dataset(request, dataset_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


class ActivationsView(_OfDataset):
    """``/api/datasets/<id>/activations/``."""

    @extend_schema(responses=ActivationsSerializer(many=True))
    def get(self, request: Request, dataset_id: int) -> Response:  # noqa: ARG002 - DRF's
        """List the activations on a dataset."""
        rows = self.dataset(dataset_id).activation_matrices.order_by("model_name", "layer", "pk")
        return self.page(rows, ActivationsSerializer)

    @extend_schema(request=ActivationsInput, responses={201: ActivationsSerializer})
    @once
    def post(self, request: Request, dataset_id: int) -> Response:  # noqa: ARG002 - DRF's
        """Register activations of one layer; one row an input, in the dataset's order."""
        dataset = self.dataset(dataset_id)
        given = self.given(ActivationsInput)
        with source_of(given) as source:
            matrix = activations_import(
                dataset=dataset,
                model_name=given["model_name"],
                layer=given["layer"],
                pool=given["pool"],
                source=source,
                key=given["key"] or None,
                name=source.name,
            )
        return Response(ActivationsSerializer(matrix).data, status=status.HTTP_201_CREATED)


class ActivationMatrixView(_OfDataset):
    """``/api/datasets/<id>/activations/<id>/``."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, dataset_id: int, activations_id: int) -> Response:
        """Delete activations that no study uses; who registered the dataset, or staff, may."""
        rows = self.own_dataset(request, dataset_id).activation_matrices
        matrix_delete(matrix=_found(rows.filter(pk=activations_id).first(), activations_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


class MatricesView(_OfDataset):
    """``/api/datasets/<id>/matrices/``."""

    @extend_schema(responses=MatrixSerializer(many=True))
    def get(self, request: Request, dataset_id: int) -> Response:  # noqa: ARG002 - DRF's
        """List the concept priors and reference labels over a dataset."""
        rows = self.dataset(dataset_id).concept_matrices.filter(role__in=OWN_ROLES)
        return self.page(rows.order_by("role", "name"), MatrixSerializer)

    @extend_schema(request=MatrixInput, responses={201: MatrixSerializer})
    @once
    def post(self, request: Request, dataset_id: int) -> Response:  # noqa: ARG002 - DRF's
        """Register a concept prior or reference labels; one row an input, one column a concept."""
        dataset = self.dataset(dataset_id)
        given = self.given(MatrixInput)
        with source_of(given) as source:
            matrix = concept_matrix_import(
                dataset=dataset,
                name=given["name"],
                role=given["role"],
                source=source,
                key=given["key"] or None,
                concepts=given["concepts"] or None,
                source_name=source.name,
            )
        return Response(MatrixSerializer(matrix).data, status=status.HTTP_201_CREATED)


class MatrixView(_OfDataset):
    """``/api/datasets/<id>/matrices/<id>/``."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, dataset_id: int, matrix_id: int) -> Response:
        """Delete concept vectors that no study uses; who registered the dataset, or staff, may."""
        rows = self.own_dataset(request, dataset_id).concept_matrices.filter(role__in=OWN_ROLES)
        matrix_delete(matrix=_found(rows.filter(pk=matrix_id).first(), matrix_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


def _found(row: Matrix | None, number: int) -> Matrix:
    if row is None:
        raise Http404(f"The dataset has no matrix {number}.")
    return row
