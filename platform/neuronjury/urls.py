"""Every URL of the site."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import URLPattern, URLResolver, include, path

from annotation.views.login import ThrottledLoginView, admin_login

# Not all of django.contrib.auth.urls: a forgotten password is set anew by `manage.py
# changepassword`, so that nobody is mailed a link that opens a paid study.
accounts = [
    path("login/", ThrottledLoginView.as_view(), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("password_change/", auth.PasswordChangeView.as_view(), name="password_change"),
    path(
        "password_change/done/", auth.PasswordChangeDoneView.as_view(), name="password_change_done"
    ),
]

handler400 = "annotation.error_pages.bad_request"
handler403 = "annotation.error_pages.permission_denied"
handler404 = "annotation.error_pages.page_not_found"
handler500 = "annotation.error_pages.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("annotation.urls")),
    path("api/", include("annotation.api.urls")),
    path("accounts/", include(accounts)),
]
if settings.NEURONJURY_ADMIN_PATH:
    urlpatterns += [
        path(f"{settings.NEURONJURY_ADMIN_PATH}/login/", admin_login),
        path(f"{settings.NEURONJURY_ADMIN_PATH}/", admin.site.urls),
    ]
