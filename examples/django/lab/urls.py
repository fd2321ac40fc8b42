# SPDX-License-Identifier: Apache-2.0
from django.conf import settings
from django.contrib.auth import views as auth
from django.urls import include, path

from . import accounts, graphql, scenarios

urlpatterns = [
    path("", include("proteins.urls")),
    path("plan/", include("plan.urls")),
    path("timelapse/", include("timelapse.urls")),
    path("up/", include("upstream.urls")),
    path("graphql/", graphql.endpoint),
    path("accounts/login/", auth.LoginView.as_view(), name="login"),
    path("accounts/logout/", accounts.logout_page, name="logout"),
    path("accounts/profile/", accounts.profile, name="profile"),
]
if settings.LAB_TESTING:
    urlpatterns.append(path("_lab/run", scenarios.run))
