"""Stored runs: the record of a session, the store, comparing them again, choosing among them."""
