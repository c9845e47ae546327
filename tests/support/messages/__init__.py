"""Every text that a person can read, collected from the sources into `tests/messages.txt`.

`python -m tests.support.messages` writes the file, which people review. `tests/test_messages.py`
compares it with the sources and checks the rules on each text.
"""
