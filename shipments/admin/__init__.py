"""The back office for shipments."""

from shipments.admin.shipments import ShipmentAdmin

__all__ = ["ShipmentAdmin"]
