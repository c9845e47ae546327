"""What the process does before it reads the command line."""
