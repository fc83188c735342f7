"""Seeded, skewed data for the platform's tables; `keys` says which rows a load test can ask for."""
