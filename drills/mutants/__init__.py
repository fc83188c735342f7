"""Changes of the code that a test must notice, one TOML table each: see `catalogue.py` for the form."""
