# SPDX-License-Identifier: Apache-2.0
"""Who is logged in; login itself is Django's own."""
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.shortcuts import redirect, render

from .versioned import versioned


def logout_page(request):
    """A page with a button: a link that anybody may place must not log out."""
    if request.method == "POST":
        logout(request)
        response = redirect("home")
        # The way back in the browser's history shall not lead to pages of this user.
        response["Clear-Site-Data"] = '"cache"'
        return response
    return render(request, "registration/logout.html")


@login_required
@versioned(User)
def profile(request):
    return render(request, "registration/profile.html")
