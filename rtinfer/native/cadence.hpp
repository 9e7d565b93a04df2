// The grid of ticks: tick k is scheduled at t0 + k * T, and nothing ever moves it.
#pragma once

#include <cstdint>

#include "rtinfer/native/rt_tick.hpp"

namespace rtinfer::rt {

struct Grid {
  int64_t t0_ns = 0;
  int64_t period_ns = 1;

  RT_TICK int64_t scheduled_ns(uint64_t tick) const noexcept {
    return t0_ns + static_cast<int64_t>(tick) * period_ns;
  }

  // The newest tick that is due at `now`; 0 before tick 1 (there is no tick 0).
  RT_TICK uint64_t due(int64_t now) const noexcept {
    return now <= t0_ns ? 0 : static_cast<uint64_t>((now - t0_ns) / period_ns);
  }

  // The tick that a thread runs after `done`: the next one, or the newest that can still be in
  // time. Whole ticks that passed meanwhile are skipped; the watchdog has acted in them.
  RT_TICK uint64_t after(uint64_t done, int64_t now, int64_t budget_ns) const noexcept {
    uint64_t next = due(now);
    if (next > done && now - scheduled_ns(next) >= budget_ns) ++next;  // too late to matter
    return next > done ? next : done + 1;
  }
};

}  // namespace rtinfer::rt
