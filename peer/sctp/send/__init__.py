"""The sending half of an association: queue, transmission, loss detection, retransmission."""
