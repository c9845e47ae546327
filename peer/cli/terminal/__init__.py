"""Screen, progress, questions and wording (floor 4). Everything goes to stderr."""
