"""How every service does, and what is wrong."""
