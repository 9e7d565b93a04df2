// Steps a virtual loop through a schedule, and keeps what a check of the contract looks at.
#include "rtinfer/native/virtual_play.hpp"

#include <algorithm>
#include <stdexcept>

namespace rtinfer::rt {
namespace {

PlayedTick played(const VirtualLoop& loop, bool committed, const Action& action) {
  PlayedTick tick;
  tick.health = static_cast<int64_t>(loop.file().health.load(std::memory_order_relaxed));
  if (!committed) return tick;
  tick.committed = 1;
  tick.seq = static_cast<int64_t>(action.seq);
  tick.scheduled_ns = action.scheduled_ns;
  tick.stamp_ns = action.stamp_ns;
  tick.origin = static_cast<int64_t>(action.origin);
  tick.reason = static_cast<int64_t>(action.reason);
  tick.flags = static_cast<int64_t>(action.flags);
  tick.session = static_cast<int64_t>(action.session);
  return tick;
}

}  // namespace

Played play(VirtualLoop& loop, const std::vector<ScheduledStep>& steps,
            const std::vector<Arrival>& arrivals) {
  const uint32_t count = loop.file().value_count;
  const size_t sources = loop.source_count();
  Played out;
  out.ticks.resize(steps.size());
  out.sources.resize(steps.size() * sources);
  out.values.resize(steps.size() * count);
  out.drops.resize(arrivals.size());
  Action action{};
  size_t arrived = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].arrivals_end > arrivals.size()) throw std::invalid_argument("no such arrival");
    for (; arrived < steps[i].arrivals_end; ++arrived) {
      const Arrival& one = arrivals[arrived];
      out.drops[arrived] = static_cast<int64_t>(loop.observe(one.source, one.stamp, one.values));
    }
    const bool committed = loop.step(steps[i].step);
    if (committed) read_committed(loop.file().commits, count, action);
    out.ticks[i] = played(loop, committed, action);
    if (!committed) continue;
    std::copy_n(action.sources, sources, out.sources.begin() + static_cast<long>(i * sources));
    for (const ActionGroup& group : loop.plan().actions.groups) {
      std::copy_n(action.channel(channel_of(group.kind)) + group.first, group.size,
                  out.values.begin() + static_cast<long>(i * count + group.first));
    }
  }
  return out;
}

}  // namespace rtinfer::rt
