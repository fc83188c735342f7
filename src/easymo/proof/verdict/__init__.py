"""Pure judgement: measurements and promises in, verdicts out. No I/O, no client library."""
