// The tick: take the observations, stage, run, gate, commit, record.
#include <algorithm>
#include <cstring>

#include "rtinfer/native/loop_core.hpp"

namespace rtinfer::rt {

TickCore::TickCore(const LoopPlan& plan, LoopFile& file, const BoundEngine& bound,
                   const Clock& clock, EngineSwitch* engines)
    : plan_(plan),
      file_(file),
      bound_(&bound),
      engines_(engines),
      clock_(clock),
      committer_(file.commits, Writer::kTick),
      observations_(plan),
      grid_(plan.grid),
      phase_(plan.phase_margin_ns) {
  file_.engine.write(bound.hash);
  if (engines_ != nullptr)
    engines_->active.store(bound_, std::memory_order_release);  // partner: Loader
}

RT_TICK bool TickCore::begin(uint64_t tick) noexcept {
  const int64_t woke_ns = clock_.now_ns();
  // partner: WatchdogCore::why_missing, which only tells "late" from "skipped" by it.
  file_.tick_current.store(tick, std::memory_order_relaxed);
  due_ns_ = grid_.scheduled_ns(tick);
  adopt();
  ran_ = false;
  part_ = {};
  part_.tick = tick;
  part_.scheduled_ns = due_ns_;
  part_.age_ns = part_.assemble_ns = part_.engine_ns = part_.commit_ns = kAbsent;
  part_.reason = observations_.take(woke_ns);
  follow_trigger(woke_ns);
  part_.wakeup_ns = woke_ns - part_.scheduled_ns;
  if (part_.reason != Reason::kNoObservation) {
    part_.age_ns = woke_ns - observations_.oldest_stamp_ns();
  }
  if (part_.reason == Reason::kNone && !enter_session()) part_.reason = Reason::kRestart;
  if (part_.reason != Reason::kNone) {
    record();
    return false;
  }
  part_.obs_seq = observations_.header(observations_.leading()).stamp.seq;
  observations_.stage(*bound_);
  engine_start_ns_ = clock_.now_ns();
  part_.assemble_ns = engine_start_ns_ - woke_ns;
  const Engine& engine = bound_->engine;
  const RunResult result = engine.run(engine.self, {tick, due_ns_ + plan_.deadline_ns});
  if (result == RunResult::kFailed) part_.reason = Reason::kEngineError;
  if (result == RunResult::kLate) part_.reason = Reason::kLate;
  ran_ = result == RunResult::kDone;
  return true;
}

RT_TICK bool TickCore::finish() noexcept {
  part_.engine_ns = clock_.now_ns() - engine_start_ns_;
  const bool committed = part_.reason == Reason::kNone && publish();
  if (committed) {
    bound_->engine.accept(bound_->engine.self);
    blend_ = false;
    part_.commit_ns = action_.stamp_ns - action_.scheduled_ns;
    part_.flags = action_.flags;
    if ((action_.flags & kClipped) != 0) file_.clipped.add();
  }
  record();
  return committed;
}

// Gates the result and tries to make it the action of this tick.
RT_TICK bool TickCore::publish() noexcept {
  // partner: WatchdogCore::publish_health (release): the session is the one of this arming.
  const uint64_t armed_from = file_.armed_from.load(std::memory_order_acquire);
  if (part_.tick < armed_from) return false;  // not armed: the run kept the engine warm
  // partner: ingress. A stop that arrives later than this is served by the next tick.
  if (file_.stop_now.load(std::memory_order_relaxed) != 0) {
    part_.reason = Reason::kStopped;
    return false;
  }
  // Twice at most: the watchdog may commit the tick before this one meanwhile.
  if (attempt() || (part_.reason == Reason::kNone && attempt())) return true;
  if (part_.reason == Reason::kNone) part_.reason = Reason::kLate;
  if (part_.reason == Reason::kLate) file_.late_results.add();
  return false;
}

// Makes the action from the newest committed one, and swaps that for it.
RT_TICK bool TickCore::attempt() noexcept {
  const uint64_t word = read_committed(file_.commits, plan_.actions.count, last_);
  if (tick_of(word) >= part_.tick) {
    part_.reason = Reason::kLate;
    return false;
  }
  const Action* last = word != 0 && last_.session == session_ ? &last_ : nullptr;
  action_.tick = part_.tick;
  action_.count = plan_.actions.count;
  part_.reason =
      compose_action(plan_.actions, *bound_, last, observations_.measured(), blend_, action_);
  if (part_.reason != Reason::kNone) return false;

  action_.seq = word != 0 ? last_.seq + 1 : 1;
  action_.session = session_;
  std::memcpy(action_.engine, bound_->hash.data(), sizeof(action_.engine));
  action_.scheduled_ns = part_.scheduled_ns;
  action_.health = static_cast<uint8_t>(file_.health.load(std::memory_order_relaxed));
  for (size_t i = 0; i < plan_.sources.size(); ++i) {
    action_.sources[i] = observations_.header(i).stamp;
  }
  action_.stamp_ns = clock_.now_ns();
  // An action leaves within its own tick, or not at all: the next tick has its own.
  if (action_.stamp_ns >= due_ns_ + grid_.period_ns) {
    part_.reason = Reason::kLate;
    return false;
  }
  const bool late = action_.stamp_ns > due_ns_ + plan_.deadline_ns;
  if (late) action_.flags = (action_.flags & ~uint32_t{kGood}) | kLate;
  if (plan_.best_effort) action_.flags |= kBestEffort;
  return committer_.commit(action_, word);
}

// Takes over an engine that the loader has ready: between two ticks, with recurrent state at zero.
RT_TICK void TickCore::adopt() noexcept {
  if (engines_ == nullptr) return;
  // partner: Loader::carry_out (release): the engine is whole.
  if (engines_->next.load(std::memory_order_relaxed) == nullptr) return;
  bound_ = engines_->next.load(std::memory_order_acquire);
  engines_->active.store(bound_, std::memory_order_release);  // partner: Loader::free_unused
  engines_->next.store(nullptr, std::memory_order_release);   // partner: Loader::free_unused
  bound_->engine.reset(bound_->engine.self);
  file_.engine.write(bound_->hash);
  file_.swaps.add();
  blend_ = true;
}

// Moves the grid of the ticks to come, as the loop's trigger has it.
RT_TICK void TickCore::follow_trigger(int64_t woke_ns) noexcept {
  if (plan_.trigger == Trigger::kTimer || part_.reason == Reason::kNoObservation) return;
  const ObservationHeader& newest = observations_.header(observations_.leading());
  const bool arrived = newest.stamp.seq != leading_seq_;
  leading_seq_ = newest.stamp.seq;
  if (plan_.trigger == Trigger::kObservation) {
    // Early means that the observation started this tick: its arrival is when it was scheduled.
    if (arrived && woke_ns < due_ns_) {
      due_ns_ = std::max(newest.received_ns, earliest_start_ns(grid_, due_ns_));
      part_.scheduled_ns = due_ns_;
    }
    move_grid({part_.tick, due_ns_, grid_.period_ns});
    return;
  }
  if (!arrived) return;
  move_grid(phase_.next(grid_, part_.tick, newest.received_ns));
  note_age();
}

RT_TICK void TickCore::move_grid(const Grid& grid) noexcept {
  grid_ = grid;
  file_.grid.write(grid);
}

// The mean age before and since the lock: what phase locking saves is their difference.
RT_TICK void TickCore::note_age() noexcept {
  const bool locked = phase_.locked();
  // partner: status readers; no order needed
  file_.phase_locked.store(locked ? 1 : 0, std::memory_order_relaxed);
  std::atomic<int64_t>& mean =
      locked ? file_.age_locked_ns : file_.age_unlocked_ns;  // partner: same
  const int64_t age = clock_.now_ns() - observations_.oldest_stamp_ns();
  const int64_t before = mean.load(std::memory_order_relaxed);
  mean.store(before == 0 ? age : before + (age - before) / 64, std::memory_order_relaxed);
}

// Recurrent state starts at zero with each arming, and with each new start of a source. False when
// an armed loop meets a source that restarted: the watchdog decides first what follows from it.
RT_TICK bool TickCore::enter_session() noexcept {
  // partner: WatchdogCore::publish_health (release): the session is the one of this arming.
  const uint64_t armed_from = file_.armed_from.load(std::memory_order_acquire);
  const uint32_t session = file_.session.load(std::memory_order_relaxed);  // ordered by armed_from
  const bool armed = part_.tick >= armed_from;
  const bool new_session = session != session_ && (armed || armed_from == kNever);
  bool restarted = false;
  for (size_t i = 0; i < plan_.sources.size(); ++i) {
    if (!plan_.sources[i].required) continue;  // another loop's: the watchdog asks no more either
    if (observations_.header(i).stamp.epoch != epochs_[i]) restarted = true;
  }
  if (restarted && armed && !new_session) return false;
  if (!restarted && !new_session) return true;
  session_ = session;
  for (size_t i = 0; i < plan_.sources.size(); ++i) {
    epochs_[i] = observations_.header(i).stamp.epoch;
  }
  bound_->engine.reset(bound_->engine.self);
  if (shadow_ != nullptr) shadow_->engine.reset(shadow_->engine.self);
  file_.resets.add();
  return true;
}

RT_TICK void TickCore::record() noexcept {
  file_.records[part_.tick % kRecords].tick.write(part_);
  file_.tick_done.store(part_.tick, std::memory_order_release);  // partner: RecordDrain
}

RT_TICK void TickCore::record_skipped(uint64_t first, uint64_t last) noexcept {
  const int64_t now = clock_.now_ns();
  for (uint64_t tick = first; tick <= last; ++tick) {
    part_ = {};
    part_.tick = tick;
    part_.scheduled_ns = grid_.scheduled_ns(tick);
    part_.wakeup_ns = now - part_.scheduled_ns;
    part_.age_ns = part_.assemble_ns = part_.engine_ns = part_.commit_ns = kAbsent;
    part_.reason = Reason::kSkipped;
    record();
    file_.skipped.add();
  }
}

}  // namespace rtinfer::rt
