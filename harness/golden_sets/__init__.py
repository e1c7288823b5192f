"""Golden sets: reading, checking, drafting, comparing and releasing their versions."""
