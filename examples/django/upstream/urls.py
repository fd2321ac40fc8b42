# SPDX-License-Identifier: Apache-2.0
from rest_framework.routers import SimpleRouter

from .views import VIEWSETS

router = SimpleRouter()
for name, viewset in VIEWSETS.items():
    router.register(name, viewset, basename=f"up-{name}")
urlpatterns = router.urls
