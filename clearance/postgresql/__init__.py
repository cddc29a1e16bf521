"""The database's side of the context: Django's PostgreSQL, told with every transaction who writes (C21)."""
