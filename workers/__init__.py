"""What happens outside a request: one small actor per job, and the scheduler. Web knows nothing of it."""
