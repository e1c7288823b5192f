"""Running one item: its samples, the fixtures that tests see, what other plugins are told."""
