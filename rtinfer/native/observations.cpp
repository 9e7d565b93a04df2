// Taking the newest observation of every source of a loop.
#include <cstring>
#include <limits>

#include "rtinfer/native/loop_core.hpp"

namespace rtinfer::rt {

size_t leading_source(const LoopPlan& plan) noexcept {
  size_t leading = 0;
  while (leading + 1 < plan.sources.size() && !plan.sources[leading].required) ++leading;
  return leading;
}

Observations::Observations(const LoopPlan& plan) : plan_(plan) {
  for (const LoopSource& source : plan.sources) {
    values_.emplace_back(source.value_count);
    arriving_.emplace_back(source.value_count);
  }
  leading_ = leading_source(plan);
}

RT_TICK Reason Observations::take(int64_t now) noexcept {
  Reason reason = Reason::kNone;
  oldest_stamp_ns_ = std::numeric_limits<int64_t>::max();
  for (size_t i = 0; i < plan_.sources.size(); ++i) {
    const LoopSource& source = plan_.sources[i];
    if (!source.required) continue;  // other loops read it
    if (receive(i)) {
      values_[i].swap(arriving_[i]);
      measured_.source[i] = values_[i].data();
    }
    if (!seen(i)) {
      reason = Reason::kNoObservation;
      continue;
    }
    const int64_t stamp = headers_[i].stamp.stamp_ns;
    if (stamp < oldest_stamp_ns_) oldest_stamp_ns_ = stamp;
    if (now - stamp > source.max_age_ns && reason == Reason::kNone) reason = Reason::kStale;
  }
  return reason;
}

RT_TICK void Observations::stage(const BoundEngine& bound) const noexcept {
  for (const Term& term : bound.terms) {
    std::memcpy(bound.engine.block + term.offset, values(term.source) + term.start,
                term.size * sizeof(float));
  }
}

// Copies the newest of `source` to arriving_. False when there is none: the last one stays.
RT_TICK bool Observations::receive(size_t index) noexcept {
  const LoopSource& source = plan_.sources[index];
  ObservationHeader header;
  if (source.upstream == nullptr) {
    if (!source.mailbox.read(header, arriving_[index].data())) return false;
    headers_[index] = header;
    return true;
  }
  const ActionTable& table = *source.upstream_actions;
  if (read_committed(*source.upstream, table.count, upstream_) == 0) return false;
  for (const ActionGroup& group : table.groups) {
    std::memcpy(arriving_[index].data() + group.first,
                upstream_.channel(channel_of(group.kind)) + group.first,
                group.size * sizeof(float));
  }
  headers_[index] = {{source.upstream_epoch, upstream_.seq, upstream_.stamp_ns},
                     upstream_.stamp_ns};
  return true;
}

}  // namespace rtinfer::rt
