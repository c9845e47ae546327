"""Stateless codecs of SCTP packets.

The other folders of `peer.sctp` import from here, never the reverse.
"""
