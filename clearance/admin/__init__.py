"""The admin's kernel: its site and first page, lists that stay fast, forms and verbs that go through the desk."""

from django.contrib.admin.apps import AdminConfig as StockAdminConfig


class AdminConfig(StockAdminConfig):
    default_site = "clearance.admin.site.ClearanceSite"
