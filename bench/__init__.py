"""Measurements: each prints both sides in one run, and writes what it found as JSON."""

from pathlib import Path

HERE = Path(__file__).resolve().parent
OUT = HERE / "out"
"""Directory of results and pictures."""
