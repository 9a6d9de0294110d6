"""What the figures are measured against: the simplest thing that does the same job, or less."""
