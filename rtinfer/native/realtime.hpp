// Real-time rights: scheduling class, affinity, locked memory. Each answers whether it was granted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace rtinfer::rt {

// Priorities of SCHED_FIFO, below the kernel's own threads. docs/timing-contract.md explains the
// order.
inline constexpr int kWatchdogPriority = 80;
inline constexpr int kEgressPriority = 70;
inline constexpr int kTickPriority = 60;
inline constexpr int kIngressPriority = 50;

bool set_fifo(int priority) noexcept;  // the calling thread
void set_other() noexcept;
bool pin_to(int core) noexcept;
bool may_use(int core) noexcept;
// Keeps the process, and the threads it makes, off these cores; unless that leaves none.
void leave_cores(const std::vector<int>& cores) noexcept;
bool lock_memory() noexcept;  // the whole process, as pages are touched
bool lock_range(void* start, size_t bytes) noexcept;
void touch_stack() noexcept;  // pre-faults the calling thread's stack
void name_thread(const char* name) noexcept;
void sharpen_timers() noexcept;   // the smallest timer slack for SCHED_OTHER
int hold_cpu_latency() noexcept;  // keeps deep idle states away while open; -1: not allowed

// Sleeps to an absolute time. Returns early only on a signal.
void sleep_until_ns(int64_t when) noexcept;

}  // namespace rtinfer::rt
