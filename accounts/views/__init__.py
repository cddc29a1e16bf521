"""The API: signing in, people, roles, service accounts."""

from accounts.views.people import UserViewSet
from accounts.views.preferences import PreferencesViewSet
from accounts.views.roles import PermissionList, RoleViewSet
from accounts.views.service_accounts import ServiceAccountViewSet
from accounts.views.sign_in import OwnSignInViewSet, SignInViewSet

__all__ = [
    "OwnSignInViewSet",
    "PermissionList",
    "PreferencesViewSet",
    "RoleViewSet",
    "ServiceAccountViewSet",
    "SignInViewSet",
    "UserViewSet",
]
