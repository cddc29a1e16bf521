from rest_framework.routers import SimpleRouter

from shipments.views import ShipmentViewSet

router = SimpleRouter(trailing_slash=False)
router.register("shipments", ShipmentViewSet, basename="shipment")

urlpatterns = router.urls
