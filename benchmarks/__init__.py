"""Measured claims: each module measures one row of the table in README.md, with its floor and its peer in one run."""
