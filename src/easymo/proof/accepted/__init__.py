"""Runs that were accepted as evidence: the record, its history, its consistency."""
