from rest_framework.routers import SimpleRouter

from audit.views import AuditLogViewSet

router = SimpleRouter(trailing_slash=False)
router.register("audit-logs", AuditLogViewSet, basename="audit_log")

urlpatterns = router.urls
