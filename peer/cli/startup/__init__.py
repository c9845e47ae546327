"""Steps of the process before it reads the command line."""
