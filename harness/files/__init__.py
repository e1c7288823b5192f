"""Reading and writing files that others wrote or will read: JSON, YAML, schemas, digests, syncing."""
