"""Links: the authenticated bond with one other peer (floor 3), and its state machines (floor 1).

`negotiation` and `control` decide, `setup` and `connection` carry out, `link` is the public face.
"""
