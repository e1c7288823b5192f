"""Shipped suites: `pytest --pyargs harness.suites --model=…`."""
