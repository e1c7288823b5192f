"""Adapters to the outside: the pytest plugin and the backends."""
