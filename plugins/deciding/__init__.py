"""The controller's end of a session: all results in, verdicts, exit code, what is printed and stored."""
