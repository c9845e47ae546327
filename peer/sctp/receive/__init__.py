"""The receiving half of an association: TSNs, reassembly, ordering, SACKs."""
