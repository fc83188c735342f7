"""The system under test: how it is described, started, treated, sampled and stopped."""
