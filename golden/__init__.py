"""Shipped golden sets, as package data."""
