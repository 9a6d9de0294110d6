"""Everything needed to try and test Refill on one machine. Nothing outside this folder, tests and bench imports it."""
