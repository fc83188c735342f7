"""A first `acceptance.toml` and `load.py` for the project in a folder: what its files say, and what they do not."""
