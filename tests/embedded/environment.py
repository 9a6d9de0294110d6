"""Prints its environment, for the test of `Proc`."""

import os

for name, value in os.environ.items():
    print(f"{name}={value}")
