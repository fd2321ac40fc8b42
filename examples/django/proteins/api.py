# SPDX-License-Identifier: Apache-2.0
"""The REST interface."""
from rest_framework import generics, serializers

from lab.versioned import VersionedMixin, VersionedObjectMixin

from .models import OpticalConfig, Protein, Reference, Spectrum, State


class StateSerializer(serializers.ModelSerializer):
    protein = serializers.SlugRelatedField("slug", read_only=True)

    class Meta:
        model = State
        fields = ["slug", "name", "protein", "ex_max", "em_max", "ext_coeff", "qy", "brightness"]


class ProteinSerializer(serializers.ModelSerializer):
    parent = serializers.SlugRelatedField("slug", read_only=True)
    states = StateSerializer(many=True, read_only=True)
    url = serializers.CharField(source="get_absolute_url", read_only=True)

    class Meta:
        model = Protein
        fields = ["slug", "name", "url", "year", "parent", "blurb", "seq", "states"]
        read_only_fields = ["slug"]


class SpectrumListSerializer(serializers.ModelSerializer):
    """Without the points: the list is for choosing."""

    category = serializers.CharField(source="get_category_display")
    subtype = serializers.CharField(source="get_subtype_display")
    owner = serializers.SerializerMethodField()
    url = serializers.SerializerMethodField()
    waves = serializers.SerializerMethodField()

    class Meta:
        model = Spectrum
        fields = ["id", "name", "category", "subtype", "peak", "waves", "color", "url", "owner"]

    def get_url(self, row):
        return f"/api/spectra/{row.pk}/"

    def get_waves(self, row):
        return {"from": row.peak - 60, "to": row.peak + 60}

    def get_owner(self, row):
        state = row.owner_state
        if state is None:
            return {"type": row.get_category_display(), "name": row.name.rsplit(" ", 1)[0], "slug": None, "state": None,
                    "url": None}
        return {"type": "protein", "name": state.protein.name, "slug": state.protein.slug, "state": state.slug,
                "url": state.protein.get_absolute_url()}


class SpectrumSerializer(serializers.ModelSerializer):
    state = serializers.SlugRelatedField("slug", source="owner_state", read_only=True)
    points = serializers.ListField(read_only=True)

    class Meta:
        model = Spectrum
        fields = ["id", "name", "category", "subtype", "peak", "color", "state", "points"]


class OpticalConfigSerializer(serializers.ModelSerializer):
    spectra = SpectrumSerializer(many=True, read_only=True)

    class Meta:
        model = OpticalConfig
        fields = ["id", "name", "microscope", "comments", "spectra"]

    def to_representation(self, instance):
        out = super().to_representation(instance)
        for spectrum in out["spectra"]:
            del spectrum["points"]
        return out


class ReferenceSerializer(serializers.ModelSerializer):
    proteins = serializers.SlugRelatedField("slug", many=True, read_only=True)

    class Meta:
        model = Reference
        fields = ["id", "doi", "title", "authors", "journal", "year", "proteins"]


class ProteinList(VersionedMixin, generics.ListAPIView):
    etag_models = [Protein, State]
    queryset = Protein.objects.select_related("parent").prefetch_related("states__protein")
    serializer_class = ProteinSerializer


class ProteinDetail(VersionedObjectMixin, generics.RetrieveUpdateDestroyAPIView):
    etag_models = [Protein, State]
    queryset = ProteinList.queryset
    serializer_class = ProteinSerializer
    lookup_field = "slug"


class StateList(VersionedMixin, generics.ListAPIView):
    etag_models = [State, Protein]
    queryset = State.objects.select_related("protein")
    serializer_class = StateSerializer


class SpectrumList(VersionedMixin, generics.ListAPIView):
    etag_models = [Spectrum, State, Protein]
    queryset = Spectrum.objects.select_related("owner_state__protein").defer("data")
    serializer_class = SpectrumListSerializer


class SpectrumDetail(VersionedObjectMixin, generics.RetrieveUpdateDestroyAPIView):
    etag_models = [Spectrum, State, Protein]
    queryset = Spectrum.objects.select_related("owner_state__protein")
    serializer_class = SpectrumSerializer


class OpticalConfigList(VersionedMixin, generics.ListAPIView):
    etag_models = [OpticalConfig, Spectrum]
    queryset = OpticalConfig.objects.prefetch_related("spectra__owner_state")
    serializer_class = OpticalConfigSerializer


class ReferenceList(VersionedMixin, generics.ListAPIView):
    etag_models = [Reference, Protein]
    queryset = Reference.objects.prefetch_related("proteins")
    serializer_class = ReferenceSerializer
