# SPDX-License-Identifier: Apache-2.0
"""Lists and details of system 2. No ETag, no Cache-Control: httpd supplies them."""
from rest_framework import permissions, serializers, viewsets
from rest_framework.authentication import SessionAuthentication
from rest_framework.renderers import JSONRenderer

from .models import Collection, Lineage, Protein, Reference, Spectrum


def _serializer(of, *names):
    meta = type("Meta", (), {"model": of, "fields": ("id", *names)})
    return type(f"{of.__name__}Serializer", (serializers.ModelSerializer,), {"Meta": meta})


class _Public(viewsets.ModelViewSet):
    """The same for everybody, and without a look at the session."""
    authentication_classes = ()
    permission_classes = (permissions.AllowAny,)
    renderer_classes = (JSONRenderer,)
    pagination_class = None


class Spectra(_Public):
    queryset = Spectrum.objects.order_by("id")
    serializer_class = _serializer(Spectrum, "name", "kind", "data")


class Proteins(_Public):
    queryset = Protein.objects.order_by("id")
    serializer_class = _serializer(Protein, "name", "sequence")


class Lineages(_Public):
    queryset = Lineage.objects.order_by("id")
    serializer_class = _serializer(Lineage, "parent", "child", "mutation")


class _ReferenceSerializer(serializers.ModelSerializer):
    class Meta:
        model = Reference
        fields = ("id", "title", "title_de", "year")
        extra_kwargs = {"title_de": {"write_only": True}}

    def to_representation(self, instance):
        """The title in the reader's language: the response varies on Accept-Language."""
        shown = super().to_representation(instance)
        wanted = self.context["request"].headers.get("Accept-Language", "")
        if wanted.lower().startswith("de"):
            shown["title"] = instance.title_de or instance.title
        return shown


class References(_Public):
    queryset = Reference.objects.order_by("id")
    serializer_class = _ReferenceSerializer


class Collections(viewsets.ModelViewSet):
    """Each user's own."""
    authentication_classes = (SessionAuthentication,)
    permission_classes = (permissions.IsAuthenticated,)
    renderer_classes = (JSONRenderer,)
    pagination_class = None
    serializer_class = _serializer(Collection, "name")

    def get_queryset(self):
        return Collection.objects.filter(owner=self.request.user).order_by("id")

    def perform_create(self, serializer):
        serializer.save(owner=self.request.user)
