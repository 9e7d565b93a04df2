// The tick: take the observations, stage, run, gate, commit, record.
#include <cstring>

#include "rtinfer/native/loop_core.hpp"

namespace rtinfer::rt {

TickCore::TickCore(const LoopPlan& plan, LoopFile& file, const BoundEngine& bound,
                   const Clock& clock)
    : plan_(plan),
      file_(file),
      bound_(&bound),
      clock_(clock),
      committer_(file.commits, Writer::kTick),
      observations_(plan) {}

RT_TICK bool TickCore::begin(uint64_t tick) noexcept {
  const int64_t woke_ns = clock_.now_ns();
  // partner: WatchdogCore::why_missing, which only tells "late" from "skipped" by it.
  file_.tick_current.store(tick, std::memory_order_relaxed);
  part_ = TickPart{tick,    0,       woke_ns - plan_.grid.scheduled_ns(tick),
                   kAbsent, kAbsent, kAbsent,
                   kAbsent, 0,       Reason::kNone,
                   {}};
  part_.reason = observations_.take(woke_ns);
  if (part_.reason != Reason::kNoObservation) {
    part_.age_ns = woke_ns - observations_.oldest_stamp_ns();
  }
  if (part_.reason != Reason::kNone) {
    record();
    return false;
  }
  part_.obs_seq = observations_.header(0).stamp.seq;
  if (!enter_session()) {
    part_.reason = Reason::kRestart;
    record();
    return false;
  }
  stage();
  engine_start_ns_ = clock_.now_ns();
  part_.assemble_ns = engine_start_ns_ - woke_ns;
  const Engine& engine = bound_->engine;
  const EngineCall call{tick, plan_.grid.scheduled_ns(tick) + plan_.deadline_ns};
  const RunResult result = engine.run(engine.self, call);
  if (result == RunResult::kFailed) part_.reason = Reason::kEngineError;
  if (result == RunResult::kLate) part_.reason = Reason::kLate;
  return true;
}

RT_TICK bool TickCore::finish() noexcept {
  part_.engine_ns = clock_.now_ns() - engine_start_ns_;
  const bool committed = part_.reason == Reason::kNone && publish();
  if (committed) {
    bound_->engine.accept(bound_->engine.self);
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
  const bool any = read_committed(file_.commits, plan_.actions.count, last_);
  if (any && last_.tick >= part_.tick) {
    file_.late_results.add();
    part_.reason = Reason::kLate;
    return false;
  }
  const Action* last = any && last_.session == session_ ? &last_ : nullptr;
  action_.tick = part_.tick;
  action_.count = plan_.actions.count;
  part_.reason = compose_action(plan_.actions, *bound_, last, observations_.measured(), action_);
  if (part_.reason != Reason::kNone) return false;

  action_.seq = any ? last_.seq + 1 : 1;
  action_.session = session_;
  action_.scheduled_ns = plan_.grid.scheduled_ns(part_.tick);
  action_.health = static_cast<uint8_t>(file_.health.load(std::memory_order_relaxed));
  for (size_t i = 0; i < plan_.sources.size(); ++i) {
    action_.sources[i] = observations_.header(i).stamp;
  }
  action_.stamp_ns = clock_.now_ns();
  // An action leaves within its own tick, or not at all: the next tick has its own.
  if (action_.stamp_ns >= action_.scheduled_ns + plan_.grid.period_ns) {
    file_.late_results.add();
    part_.reason = Reason::kLate;
    return false;
  }
  const bool late = action_.stamp_ns > action_.scheduled_ns + plan_.deadline_ns;
  if (late) action_.flags = (action_.flags & ~uint32_t{kGood}) | kLate;
  if (plan_.best_effort) action_.flags |= kBestEffort;
  if (committer_.commit(action_)) return true;
  file_.late_results.add();
  part_.reason = Reason::kLate;
  return false;
}

RT_TICK void TickCore::stage() noexcept {
  for (const Term& term : bound_->terms) {
    std::memcpy(bound_->engine.block + term.offset, observations_.values(term.source) + term.start,
                term.size * sizeof(float));
  }
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
    if (observations_.header(i).stamp.epoch != epochs_[i]) restarted = true;
  }
  if (restarted && armed && !new_session) return false;
  if (!restarted && !new_session) return true;
  session_ = session;
  for (size_t i = 0; i < plan_.sources.size(); ++i) {
    epochs_[i] = observations_.header(i).stamp.epoch;
  }
  bound_->engine.reset(bound_->engine.self);
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
    part_ = TickPart{tick,    0,       now - plan_.grid.scheduled_ns(tick),
                     kAbsent, kAbsent, kAbsent,
                     kAbsent, 0,       Reason::kSkipped,
                     {}};
    record();
    file_.skipped.add();
  }
}

}  // namespace rtinfer::rt
