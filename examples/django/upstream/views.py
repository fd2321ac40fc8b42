# SPDX-License-Identifier: Apache-2.0
"""Seven viewsets. They know nothing of tags; lab.own_upstream adds the application's own under lab.settings_own."""
from rest_framework import permissions, serializers, viewsets
from rest_framework.renderers import JSONRenderer

from lab import own_upstream

from .models import KINDS


class _Viewset(own_upstream.mixin(), viewsets.ModelViewSet):
    authentication_classes = ()
    permission_classes = (permissions.AllowAny,)
    renderer_classes = (JSONRenderer,)
    pagination_class = None


def _viewset(model):
    meta = type("Meta", (), {"model": model, "fields": "__all__"})
    serializer = type(f"{model.__name__}Serializer", (serializers.ModelSerializer,), {"Meta": meta})
    return type(f"{model.__name__}Viewset", (_Viewset,),
                {"queryset": model.objects.order_by("id"), "serializer_class": serializer})


VIEWSETS = {name: _viewset(model) for name, model in KINDS.items()}
