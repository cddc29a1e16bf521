"""The back office for people and machines, and what they may do."""

from accounts.admin import departments, people, roles, service_accounts, sign_in

__all__ = ["departments", "people", "roles", "service_accounts", "sign_in"]
