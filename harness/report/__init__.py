"""What a person reads of a run: terminal, markdown, HTML."""
