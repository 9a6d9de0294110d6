"""Starts a server and waits to be killed, for the test of what is then left."""

import sys
import time

from local import embedded

server = getattr(embedded, sys.argv[1])().start()
print(f"pid={server.pid} guard={server.process.guard_pid} directory={server.directory}", flush=True)
time.sleep(600)
