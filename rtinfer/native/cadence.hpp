// The grid of ticks: tick k is scheduled at t0 + k * T.
#pragma once

#include <cstdint>

#include "rtinfer/native/rt_tick.hpp"

namespace rtinfer::rt {

// Ticks count from 1; `base_tick` is a tick whose time is known. With trigger = "timer" that is
// tick 0, for good; the other triggers move the base, and only to a tick that is still to come.
struct Grid {
  uint64_t base_tick = 0;
  int64_t base_ns = 0;
  int64_t period_ns = 1;

  RT_TICK int64_t scheduled_ns(uint64_t tick) const noexcept {
    return base_ns + static_cast<int64_t>(tick - base_tick) * period_ns;
  }

  // The newest tick that is due at `now`; the one before the base when that is still to come.
  RT_TICK uint64_t due(int64_t now) const noexcept {
    if (now < base_ns) return base_tick == 0 ? 0 : base_tick - 1;
    return base_tick + static_cast<uint64_t>((now - base_ns) / period_ns);
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
