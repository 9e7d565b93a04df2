// Taking the newest observation of every source of a loop.
#include <limits>

#include "rtinfer/native/loop_core.hpp"

namespace rtinfer::rt {

Observations::Observations(const LoopPlan& plan) : plan_(plan) {
  for (const LoopSource& source : plan.sources) {
    values_.emplace_back(source.value_count);
    arriving_.emplace_back(source.value_count);
  }
}

RT_TICK Reason Observations::take(int64_t now) noexcept {
  Reason reason = Reason::kNone;
  oldest_stamp_ns_ = std::numeric_limits<int64_t>::max();
  for (size_t i = 0; i < plan_.sources.size(); ++i) {
    const LoopSource& source = plan_.sources[i];
    ObservationHeader header;
    if (source.mailbox.read(header, arriving_[i].data())) {
      values_[i].swap(arriving_[i]);
      headers_[i] = header;
      measured_.source[i] = values_[i].data();
    }
    if (!source.required) continue;
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

}  // namespace rtinfer::rt
