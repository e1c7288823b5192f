"""Adapters to the outside: the pytest plugin, backends, judges, trackers."""
