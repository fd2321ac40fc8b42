# SPDX-License-Identifier: Apache-2.0
from rest_framework.routers import SimpleRouter

from . import views

router = SimpleRouter()
for name, viewset in (("spectra", views.Spectra), ("proteins", views.Proteins), ("references", views.References),
                      ("lineages", views.Lineages), ("collections", views.Collections)):
    router.register(name, viewset, basename=f"plan-{name}")
urlpatterns = router.urls
