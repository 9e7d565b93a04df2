"""A thread named `planted` with system calls that the tracer must see, and one that it must not."""

from __future__ import annotations

import os
import time
from pathlib import Path

Path("/proc/thread-self/comm").write_text("planted", encoding="ascii")
with Path(os.devnull).open("wb", buffering=0) as nowhere:
    print("ready", flush=True)
    while True:
        os.getppid()
        nowhere.write(b"x")
        time.monotonic_ns()  # the vDSO's
        time.sleep(0.001)
