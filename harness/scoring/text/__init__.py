"""Reading what a text says, without a case: numbers, calls, code, refusals, languages, secrets."""
