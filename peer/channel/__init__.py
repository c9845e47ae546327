"""Data channels and chat, as programs use them (floor 3), over the machines they need (floor 1)."""
