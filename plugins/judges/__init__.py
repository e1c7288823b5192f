"""Judges that plug in from outside."""
