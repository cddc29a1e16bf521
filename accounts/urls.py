from django.urls import path
from rest_framework.routers import SimpleRouter

from accounts.views import (
    OwnSignInViewSet,
    PermissionList,
    PreferencesViewSet,
    RoleViewSet,
    ServiceAccountViewSet,
    SignInViewSet,
    UserViewSet,
)

router = SimpleRouter(trailing_slash=False)
router.register("auth", SignInViewSet, basename="auth")
router.register("auth", OwnSignInViewSet, basename="own-auth")
router.register("users", UserViewSet, basename="user")
router.register("service-accounts", ServiceAccountViewSet, basename="service-account")
router.register("roles", RoleViewSet, basename="role")

urlpatterns = [
    *router.urls,
    path("permissions", PermissionList.as_view()),
    path("preferences", PreferencesViewSet.as_view({"get": "retrieve", "patch": "partial_update"})),
]
