from django.urls import path

from metrics import views

urlpatterns = [
    path("metrics/clearance-time", views.ClearanceTime.as_view()),
    path("metrics/on-time-rate", views.OnTimeRate.as_view()),
    path("metrics/demurrage-savings", views.DemurrageSavings.as_view()),
    path("metrics/delayed-steps", views.DelayedSteps.as_view()),
]
