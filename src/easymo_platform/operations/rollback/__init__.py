"""The rollback of the performance changes: one step or the whole plan, on `up` or on a cluster."""
