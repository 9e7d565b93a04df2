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
#include "rtinfer/native/engine_switch.hpp"
#include "rtinfer/native/guard.hpp"
#include "rtinfer/native/layout.hpp"
#include "rtinfer/native/trigger.hpp"

namespace rtinfer::rt {

// An input of a loop: a mailbox that ingress fills, or the committed actions of another loop.
struct LoopSource {
  Mailbox mailbox;
  const CommitArea* upstream = nullptr;           // instead of the mailbox
  const ActionTable* upstream_actions = nullptr;  // what its values mean
  uint64_t upstream_epoch = 1;                    // the service's, as its actions carry it
  uint32_t value_count = 0;
  int64_t max_age_ns = 0;
  bool required = false;  // a term or a measured pose reads it
};

// Fixed at start; read by both threads.
struct LoopPlan {
  Grid grid;  // at the start
  Trigger trigger = Trigger::kTimer;
  int64_t phase_margin_ns = 0;
  int64_t deadline_ns = 0;
  HealthConfig health;
  bool best_effort = false;
  ActionTable actions;
  std::vector<LoopSource> sources;
};

// The source that sets the pace of the loop: the first required one.
size_t leading_source(const LoopPlan& plan) noexcept;

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
  // Copies the values that the engine reads into its inputs.
  RT_TICK void stage(const BoundEngine& bound) const noexcept;
  size_t leading() const noexcept { return leading_; }

 private:
  RT_TICK bool receive(size_t source) noexcept;

  const LoopPlan& plan_;
  std::array<ObservationHeader, kMaxSources> headers_{};
  std::vector<std::vector<float>> values_;
  std::vector<std::vector<float>> arriving_;  // a torn copy must not spoil the last whole one
  Measured measured_;
  Action upstream_{};
  int64_t oldest_stamp_ns_ = 0;
  size_t leading_ = 0;
};

// What the tick thread does in one tick.
class TickCore {
 public:
  // `engines`: where other engines may come from while the loop runs; null: from nowhere.
  TickCore(const LoopPlan& plan, LoopFile& file, const BoundEngine& bound, const Clock& clock,
           EngineSwitch* engines = nullptr);

  // Take, stage, run. True when there is a result to finish.
  RT_TICK bool begin(uint64_t tick) noexcept;
  // Gate, commit, record. True when this tick's action is ours.
  RT_TICK bool finish() noexcept;
  // Ticks that passed while this thread was in another one: charged with the stall that cost them.
  RT_TICK void record_skipped(uint64_t first, uint64_t last) noexcept;
  // Runs the candidate engine on the observations of the tick just finished, if the time that is
  // left allows it, and counts how far it is from what serves.
  RT_TICK void run_shadow() noexcept;
  // The grid as it is now: the triggers other than the timer move it.
  const Grid& grid() const noexcept { return grid_; }

 private:
  RT_TICK void follow_trigger(int64_t woke_ns) noexcept;
  RT_TICK void move_grid(const Grid& grid) noexcept;
  RT_TICK void note_age() noexcept;
  RT_TICK bool attempt() noexcept;
  RT_TICK void adopt() noexcept;
  RT_TICK void compare_shadow(const BoundEngine& shadow) noexcept;
  RT_TICK bool enter_session() noexcept;
  RT_TICK bool publish() noexcept;
  RT_TICK void record() noexcept;

  const LoopPlan& plan_;
  LoopFile& file_;
  const BoundEngine* bound_;
  const BoundEngine* shadow_ = nullptr;
  EngineSwitch* engines_;
  bool blend_ = false;  // the engine is new: its actions are approached through the ramp
  bool ran_ = false;    // the engine has a result on the observations of this tick
  RunningTail shadow_tail_;
  const Clock& clock_;
  Committer committer_;
  Observations observations_;
  Action action_{};
  Action last_{};
  TickPart part_{};
  Grid grid_;
  PhaseLock phase_;
  int64_t due_ns_ = 0;  // when the tick was due, or was started by its observation
  int64_t engine_start_ns_ = 0;
  uint64_t leading_seq_ = 0;
  uint32_t session_ = 0;
  std::array<uint64_t, kMaxSources> epochs_{};
};

// What the watchdog does at D - guard of a tick: the action if there is none, and the loop's
// health.
class WatchdogCore {
 public:
  // `fallback`: a second, smaller engine that is asked first when the policy has no action; or
  // null.
  WatchdogCore(const LoopPlan& plan, LoopFile& file, const Clock& clock,
               const BoundEngine* fallback = nullptr);

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
  RT_TICK bool fall_back(const Action* last) noexcept;
  RT_TICK void note_engine() noexcept;
  RT_TICK Settled settle(uint64_t tick, bool ours) noexcept;
  RT_TICK WatchPart part_of(uint64_t tick, const Settled& settled) const noexcept;
  RT_TICK Reason why_missing(uint64_t tick) const noexcept;
  RT_TICK void step(uint64_t tick, const Settled& settled, uint32_t requests) noexcept;
  RT_TICK void publish_health() noexcept;
  RT_TICK bool source_restarted() noexcept;

  const LoopPlan& plan_;
  LoopFile& file_;
  const Clock& clock_;
  Committer committer_;
  Observations observations_;
  const BoundEngine* fallback_;
  uint32_t fallback_session_ = 0;
  Grid grid_;
  int64_t due_ns_ = 0;  // of the tick in hand; the grid may have moved on since it was due
  Reason fresh_ = Reason::kNoObservation;
  HealthState health_;
  Action action_{};
  Action last_{};
  uint64_t handled_ = 0;  // the last tick that was settled
  std::array<uint64_t, kMaxSources> epochs_{};
};

}  // namespace rtinfer::rt
