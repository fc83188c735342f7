"""The platform on one machine: `up`, and replacing its services without losing a request."""
