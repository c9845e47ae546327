"""The commands, one module each (floor 4); the folders beside this one hold what they share."""
