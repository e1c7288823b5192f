"""The gate's statistics: paired tests, intervals, power and multiplicity, on plain arrays.

Nothing here knows cases, suites or policies. What decides is written in docs/statistics.md.
"""
