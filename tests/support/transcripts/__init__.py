"""Golden transcripts: what machines are told, step by step, and what each step makes them say.

The Python and the JavaScript machines are driven by the same files (`tests/vectors/transcripts`),
so neither can drift alone. `python -m tests.support.transcripts` writes them anew; a change of them
is a change of the protocol, to be reviewed by reading.
"""
