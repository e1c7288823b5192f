"""Training data: formats, cleaning, splits."""
