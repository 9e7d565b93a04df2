// One loop without threads: what the tick thread and the watchdog do, given the time.
// The service calls it from two threads on CLOCK_MONOTONIC, VirtualLoop from one on a virtual
// clock.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "rtinfer/native/actions.hpp"
#include "rtinfer/native/cadence.hpp"
#include "rtinfer/native/clock.hpp"
#include "rtinfer/native/engine.hpp"
#include "rtinfer/native/layout.hpp"

namespace rtinfer::rt {

struct LoopSource {
  Mailbox mailbox;
  uint32_t value_count = 0;
  int64_t max_age_ns = 0;
  bool required = false;  // a term or a measured pose reads it
};

// Fixed at start; read by both threads.
struct LoopPlan {
  Grid grid;
  int64_t deadline_ns = 0;
  HealthConfig health;
  bool best_effort = false;
  ActionTable actions;
  std::vector<LoopSource> sources;
};

// The newest observations, copied: headers and values of every source of the loop.
class Observations {
 public:
  explicit Observations(const LoopPlan& plan);

  // kNone when every required source is fresh at `now`; values stay the newest ones either way.
  RT_TICK Reason take(int64_t now) noexcept;

  const Measured& measured() const noexcept { return measured_; }
  const ObservationHeader& header(size_t source) const noexcept { return headers_[source]; }
  const float* values(size_t source) const noexcept { return values_[source].data(); }
  bool seen(size_t source) const noexcept { return measured_.source[source] != nullptr; }
  int64_t oldest_stamp_ns() const noexcept { return oldest_stamp_ns_; }

 private:
  const LoopPlan& plan_;
  std::array<ObservationHeader, kMaxSources> headers_{};
  std::vector<std::vector<float>> values_;
  std::vector<std::vector<float>> arriving_;  // a torn copy must not spoil the last whole one
  Measured measured_;
  int64_t oldest_stamp_ns_ = 0;
};

// What the tick thread does in one tick.
class TickCore {
 public:
  TickCore(const LoopPlan& plan, LoopFile& file, const BoundEngine& bound, const Clock& clock);

  // Take, stage, run. True when there is a result to finish.
  RT_TICK bool begin(uint64_t tick) noexcept;
  // Gate, commit, record. True when this tick's action is ours.
  RT_TICK bool finish() noexcept;
  // Ticks that passed while this thread was in another one: charged with the stall that cost them.
  RT_TICK void record_skipped(uint64_t first, uint64_t last) noexcept;

 private:
  RT_TICK void stage() noexcept;
  RT_TICK bool enter_session() noexcept;
  RT_TICK bool publish() noexcept;
  RT_TICK void record() noexcept;

  const LoopPlan& plan_;
  LoopFile& file_;
  const BoundEngine* bound_;
  const Clock& clock_;
  Committer committer_;
  Observations observations_;
  Action action_{};
  Action last_{};
  TickPart part_{};
  int64_t engine_start_ns_ = 0;
  uint32_t session_ = 0;
  std::array<uint64_t, kMaxSources> epochs_{};
};

// What the watchdog does at D - guard of a tick: the action if there is none, and the loop's
// health.
class WatchdogCore {
 public:
  WatchdogCore(const LoopPlan& plan, LoopFile& file, const Clock& clock);

  // `target_ns`: when it should have run. True when it committed the action of `tick`.
  RT_TICK bool act(uint64_t tick, int64_t target_ns, int64_t guard_ns) noexcept;

  const HealthState& health() const noexcept { return health_; }

 private:
  struct Settled {
    Outcome outcome;
    Origin origin;
    Reason reason;
    uint32_t flags;
  };
  RT_TICK void settle_passed(uint64_t tick) noexcept;
  RT_TICK bool commit_safe(uint64_t tick) noexcept;
  RT_TICK Settled settle(uint64_t tick, bool ours) noexcept;
  RT_TICK Reason why_missing(uint64_t tick) const noexcept;
  RT_TICK void step(uint64_t tick, const Settled& settled, uint32_t requests) noexcept;
  RT_TICK void publish_health() noexcept;
  RT_TICK bool source_restarted() noexcept;

  const LoopPlan& plan_;
  LoopFile& file_;
  const Clock& clock_;
  Committer committer_;
  Observations observations_;
  Reason fresh_ = Reason::kNoObservation;
  HealthState health_;
  Action action_{};
  Action last_{};
  uint64_t handled_ = 0;  // the last tick that was settled
  std::array<uint64_t, kMaxSources> epochs_{};
};

}  // namespace rtinfer::rt
