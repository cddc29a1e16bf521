"""The API kernel: one envelope for every error, pages and cursors, strict input, preconditions, tokens.

Imports nothing itself: DRF loads these modules one by one, from the settings.
"""
