"""A module a situation: dev (a laptop), test, prod (paid studies); all extend base."""
