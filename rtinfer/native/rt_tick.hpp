// RT_TICK marks everything that runs inside a tick: no allocation, lock, log, exception, Python
// object or syscall other than those listed in docs/timing-contract.md.
#pragma once

#define RT_TICK
