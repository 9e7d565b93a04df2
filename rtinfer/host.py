"""What identifies this host's clock: the boot id, and CLOCK_MONOTONIC."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

from rtinfer.errors import RtinferError

BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> bytes:
    """The 16 bytes of this boot: monotonic stamps compare within one boot only."""
    try:
        return uuid.UUID(BOOT_ID_FILE.read_text(encoding="ascii").strip()).bytes
    except (OSError, ValueError) as error:
        raise RtinferError(
            f"{BOOT_ID_FILE}: {error}: expected the boot id of a Linux host"
        ) from None


def now_ns() -> int:
    """CLOCK_MONOTONIC."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)
