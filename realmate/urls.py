"""The root of the map: the admin, and everything else in chat/urls.py."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    # The admin's own page would count no wrong old passwords.
    path("admin/password_change/", RedirectView.as_view(pattern_name="account")),
    path("admin/", admin.site.urls),
    path("", include("chat.urls")),
]
