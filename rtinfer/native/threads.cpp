// Tick and watchdog: sleep to an absolute time on the grid, act, look for the next.
#include "rtinfer/native/threads.hpp"

#include <algorithm>

#include "rtinfer/native/guard.hpp"
#include "rtinfer/native/loop_plan.hpp"
#include "rtinfer/native/realtime.hpp"

namespace rtinfer::rt {
namespace {

constexpr int64_t kLeastGuard_ns = 50'000;

void prepare_thread(const ServiceParts& parts, const char* name, int priority) noexcept {
  name_thread(name);
  touch_stack();
  if (parts.fifo) set_fifo(priority);
}

// A running p99.9 of the watchdog's own wake-up and of what sending takes after it, and the run of
// the fallback engine if there is one.
RT_TICK int64_t guard_ns(const ServiceLoop& loop, const RunningTail& wakeup,
                         int64_t send_tail) noexcept {
  const LoopSpec& spec = *loop.spec;
  if (spec.guard_ns >= 0) return spec.guard_ns;
  const int64_t tail = wakeup.p999_ns();
  const int64_t own =
      tail == 0 ? initial_guard_ns(spec)
                : std::clamp<int64_t>(tail + send_tail, kLeastGuard_ns, spec.deadline_ns / 4);
  return std::min(own + loop.fallback_ns, spec.deadline_ns / 2);
}

// Sleeps until the tick is due, or with trigger = "observation" until one arrives.
RT_TICK void wait_for_tick(ServiceLoop& loop, const Grid& grid, uint64_t tick) noexcept {
  const int64_t due = grid.scheduled_ns(tick);
  if (loop.plan.trigger != Trigger::kObservation) {
    sleep_until_ns(due);
    return;
  }
  // The first arrival after the last tick: one that came while it ran has been counted already.
  sleep_until_ns(earliest_start_ns(grid, due));
  loop.arrivals.wait(loop.arrivals_seen, due);
  loop.arrivals_seen = loop.arrivals.count();
}

// Sleeps until `offset` after the time of `tick`, and returns when that was. With trigger =
// "observation" the tick may start before it is due, but never before now: looked at again `offset`
// later, its time is known soon enough.
RT_TICK int64_t sleep_until_watch(const ServiceParts& parts, const ServiceLoop& loop, Grid& grid,
                                  uint64_t tick, int64_t offset) noexcept {
  while (true) {
    const int64_t target = grid.scheduled_ns(tick) + offset;
    const bool settled = loop.plan.trigger != Trigger::kObservation || grid.base_tick >= tick;
    const int64_t look = settled ? target : std::min(target, monotonic_ns() + offset);
    sleep_until_ns(look);
    const bool exits = parts.exit.load(std::memory_order_acquire);  // partner: Service::join
    if (look == target || exits) return target;
    loop.file->grid.read(grid);
  }
}

}  // namespace

void tick_thread(ServiceParts& parts, ServiceLoop& loop) noexcept {
  const MonotonicClock clock;
  const int64_t budget_ns = loop.plan.deadline_ns - initial_guard_ns(*loop.spec);
  TickCore core(loop.plan, *loop.file, loop.bound, clock, &loop.engines);
  if (loop.spec->core >= 0 && parts.fifo) pin_to(loop.spec->core);
  prepare_thread(parts, "rtinfer-tick", kTickPriority);

  uint64_t done = 0;
  while (!parts.exit.load(std::memory_order_acquire)) {  // partner: Service::join
    const uint64_t tick = core.grid().after(done, clock.now_ns(), budget_ns);
    if (tick > done + 1) core.record_skipped(done + 1, tick - 1);
    wait_for_tick(loop, core.grid(), tick);
    if (parts.exit.load(std::memory_order_acquire)) break;  // partner: Service::join
    if (core.begin(tick) && core.finish()) parts.committed.notify();
    core.run_shadow();
    done = tick;
  }
}

void watchdog_thread(ServiceParts& parts, ServiceLoop& loop) noexcept {
  const MonotonicClock clock;
  Grid grid = loop.plan.grid;
  WatchdogCore core(loop.plan, *loop.file, clock, loop.fallback ? &*loop.fallback : nullptr);
  RunningTail wakeup;
  prepare_thread(parts, "rtinfer-watch", kWatchdogPriority);

  uint64_t handled = 0;
  while (!parts.exit.load(std::memory_order_acquire)) {  // partner: Service::join
    // partner: egress; a guard that is one send older does no harm.
    const int64_t send_tail = parts.send_tail_ns.load(std::memory_order_relaxed);
    const int64_t guard = guard_ns(loop, wakeup, send_tail);
    const int64_t offset = loop.plan.deadline_ns - guard;
    loop.file->grid.read(grid);
    const uint64_t tick = std::max(handled + 1, grid.due(clock.now_ns() - offset));
    const int64_t target = sleep_until_watch(parts, loop, grid, tick, offset);
    if (parts.exit.load(std::memory_order_acquire)) break;  // partner: Service::join
    wakeup.add(clock.now_ns() - target);
    if (core.act(tick, target, guard)) parts.committed.notify();
    handled = tick;
  }
}

}  // namespace rtinfer::rt
