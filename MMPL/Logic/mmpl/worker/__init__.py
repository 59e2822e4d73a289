"""The engine as a process of its own: requests in, progress and results out, one line of JSON each.

A front end (the Slicer module, a browser view) must never wait for networks or filters in its own thread, and must not
die when they do. So it starts ``python -m mmpl.worker`` and talks to it: :mod:`mmpl.worker.session` is what the worker
knows and does, :mod:`mmpl.worker.inbox` which request comes next, :mod:`mmpl.worker.server` the lines.
"""

TEMPORARY = "--temporary"  # the folder goes with the last of the two processes
