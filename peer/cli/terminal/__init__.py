"""What people see and type: screen, progress, questions, wording. Everything goes to stderr."""
