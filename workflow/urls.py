from django.urls import path
from rest_framework.routers import SimpleRouter

from workflow.views import ShipmentWorkflow, StepViewSet

router = SimpleRouter(trailing_slash=False)
router.register("workflow-steps", StepViewSet, basename="workflow-step")

urlpatterns = [path("shipments/<int:pk>/workflow", ShipmentWorkflow.as_view()), *router.urls]
