"""Measurements: each prints both sides in one run, and writes what it found as JSON."""
