"""Shapes at the API: signing in, people, roles, service accounts."""
