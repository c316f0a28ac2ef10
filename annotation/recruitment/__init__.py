"""Panels: Prolific's API, its signed links, and a fake Prolific for tests and demos."""
