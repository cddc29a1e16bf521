from django.urls import path

from outbox.views import PreferencesViewSet

urlpatterns = [path("preferences", PreferencesViewSet.as_view({"get": "retrieve", "patch": "partial_update"}))]
