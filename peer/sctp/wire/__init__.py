"""What travels in SCTP packets: codecs without state.

Nothing here decides anything; the other folders of `peer.sctp` import from here, never the reverse.
"""
