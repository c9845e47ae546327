"""A laboratory of networks: emulated links, namespaces, and associations in virtual time.

Tests and benchmarks share it; nothing in `peer` or `signaling` imports it.
"""
