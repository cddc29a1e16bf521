from rest_framework.routers import SimpleRouter

from accounts.views import OwnSignInViewSet, SignInViewSet, UserViewSet

router = SimpleRouter(trailing_slash=False)
router.register("auth", SignInViewSet, basename="auth")
router.register("auth", OwnSignInViewSet, basename="own-auth")
router.register("users", UserViewSet, basename="user")

urlpatterns = router.urls
