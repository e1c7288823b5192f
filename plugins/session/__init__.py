"""What a session is: options, suites, checkpoints, margins, and where its state lives."""
