"""Tests of the panel client, its signatures and the fake Prolific."""
