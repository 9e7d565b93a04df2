// The watchdog: at D - guard the tick has an action, from the policy or from here; and health
// follows.
#include <cstring>

#include "rtinfer/native/loop_core.hpp"

namespace rtinfer::rt {

WatchdogCore::WatchdogCore(const LoopPlan& plan, LoopFile& file, const Clock& clock,
                           const BoundEngine* fallback)
    : plan_(plan),
      file_(file),
      clock_(clock),
      committer_(file.commits, Writer::kWatchdog),
      observations_(plan),
      fallback_(fallback),
      grid_(plan.grid) {
  publish_health();
}

RT_TICK bool WatchdogCore::act(uint64_t tick, int64_t target_ns, int64_t guard_ns) noexcept {
  const int64_t woke_ns = clock_.now_ns();
  due_ns_ = target_ns + guard_ns - plan_.deadline_ns;
  file_.grid.read(grid_);  // a torn read leaves the last one: the grid moves by little
  fresh_ = observations_.take(woke_ns);
  settle_passed(tick);
  // partner: ingress (release): a request is seen whole, and once.
  const uint32_t requests = file_.requests.exchange(0, std::memory_order_acquire);
  if ((requests & kStop) != 0) health_.latched_stop = true;
  // Twice at most: the tick thread may commit the tick before this one meanwhile.
  const bool ours = tick >= health_.armed_from && (commit_safe(tick) || commit_safe(tick));
  const Settled settled = settle(tick, ours);
  step(tick, settled, requests);

  WatchPart part = part_of(tick, settled);
  part.scheduled_ns = due_ns_;
  part.wakeup_ns = woke_ns - target_ns;
  part.guard_ns = guard_ns;
  if (ours) part.commit_ns = action_.stamp_ns - action_.scheduled_ns;
  file_.records[tick % kRecords].watch.write(part);
  file_.watch_done.store(tick, std::memory_order_release);  // partner: RecordDrain
  handled_ = tick;
  return ours;
}

// Ticks in which the watchdog did not run at all: theirs is what the tick thread did, or nothing.
RT_TICK void WatchdogCore::settle_passed(uint64_t tick) noexcept {
  if (handled_ == 0 || tick <= handled_ + 1) return;
  for (uint64_t passed = handled_ + 1; passed < tick; ++passed) {
    const Settled settled = settle(passed, false);
    step(passed, settled, 0);
    file_.records[passed % kRecords].watch.write(part_of(passed, settled));
    file_.watch_done.store(passed, std::memory_order_release);  // partner: RecordDrain
  }
}

RT_TICK WatchPart WatchdogCore::part_of(uint64_t tick, const Settled& settled) const noexcept {
  return {tick,          grid_.scheduled_ns(tick), kAbsent,        kAbsent,        kAbsent,
          settled.flags, settled.origin,           health_.health, settled.reason, 0};
}

// Fills the own slot and tries the commit. False when the tick has its action already.
RT_TICK bool WatchdogCore::commit_safe(uint64_t tick) noexcept {
  const uint64_t word = read_committed(file_.commits, plan_.actions.count, last_);
  if (tick_of(word) >= tick) return false;
  const Action* last = word != 0 && last_.session == health_.session ? &last_ : nullptr;
  const bool stopped = health_.latched_stop;
  action_.tick = tick;
  action_.count = plan_.actions.count;
  const uint32_t misses = last == nullptr ? 0 : last->miss_ticks;
  const Reason reason = stopped ? Reason::kStopped : why_missing(tick);
  if (stopped || !fall_back(last)) {
    // The first action after `stop` begins the declared behaviour anew.
    const bool first_stopped = stopped && last != nullptr && (last->flags & kStopped) == 0;
    action_.miss_ticks = first_stopped ? 1 : misses + 1;
    if (!safe_action(plan_.actions, last, observations_.measured(), stopped, action_)) return false;
  }
  action_.miss_ticks = action_.origin == Origin::kFallback ? misses + 1 : action_.miss_ticks;
  action_.reason = reason;
  action_.seq = word != 0 ? last_.seq + 1 : 1;
  action_.session = health_.session;
  note_engine();
  action_.scheduled_ns = due_ns_;
  action_.health = static_cast<uint8_t>(health_.health);
  for (size_t i = 0; i < plan_.sources.size(); ++i) {
    action_.sources[i] = observations_.header(i).stamp;
  }
  action_.stamp_ns = clock_.now_ns();
  // Woken after the tick has passed: it is lost, and the next one is due.
  if (action_.stamp_ns >= action_.scheduled_ns + grid_.period_ns) return false;
  const bool late = action_.stamp_ns > action_.scheduled_ns + plan_.deadline_ns;
  action_.flags |=
      (stopped ? kStopped : 0u) | (late ? kLate : 0u) | (plan_.best_effort ? kBestEffort : 0u);
  if (!committer_.commit(action_, word)) return false;
  if (action_.origin == Origin::kFallback) fallback_->engine.accept(fallback_->engine.self);
  return true;
}

// Whose action it is: the fallback's, or of the engine that serves or last served.
RT_TICK void WatchdogCore::note_engine() noexcept {
  EngineHash hash{};
  if (action_.origin == Origin::kFallback) {
    hash = fallback_->hash;
  } else if (!file_.engine.read(hash)) {
    return;  // it is being exchanged: the last one stays
  }
  std::memcpy(action_.engine, hash.data(), sizeof(action_.engine));
}

// Asks the second engine, on observations that are fresh. False when there is none, or when its
// result does not pass the gate either. A miss all the same: the action is not the policy's.
RT_TICK bool WatchdogCore::fall_back(const Action* last) noexcept {
  if (fallback_ == nullptr || fresh_ != Reason::kNone) return false;
  const Engine& engine = fallback_->engine;
  if (fallback_session_ != health_.session) engine.reset(engine.self);
  fallback_session_ = health_.session;
  observations_.stage(*fallback_);
  if (engine.run(engine.self, {action_.tick, 0}) != RunResult::kDone) return false;
  const Reason refused =
      compose_action(plan_.actions, *fallback_, last, observations_.measured(), false, action_);
  if (refused != Reason::kNone) return false;
  action_.flags &= ~uint32_t{kGood};
  action_.origin = Origin::kFallback;
  return true;
}

// What became of `tick`, for good: nobody commits it after this.
RT_TICK WatchdogCore::Settled WatchdogCore::settle(uint64_t tick, bool ours) noexcept {
  if (tick < health_.armed_from) return {Outcome::kNotArmed, Origin::kNone, Reason::kNone, 0};
  if (ours) return {Outcome::kMiss, action_.origin, action_.reason, action_.flags};
  const uint64_t word = read_committed(file_.commits, plan_.actions.count, last_);
  if (word != 0 && tick_of(word) == tick) {
    const Outcome outcome = (last_.flags & kGood) != 0 ? Outcome::kGood : Outcome::kMiss;
    const Reason reason = outcome == Outcome::kGood ? Reason::kNone : Reason::kLate;
    return {outcome, last_.origin, reason, last_.flags};
  }
  // The word has moved past it, or never came to it: the tick thread's record tells which.
  TickPart part;
  if (file_.records[tick % kRecords].tick.read(part) && part.tick == tick &&
      part.commit_ns != kAbsent) {
    const bool good = (part.flags & kGood) != 0;
    const Origin origin = (part.flags & kArming) != 0 ? Origin::kSafe : Origin::kPolicy;
    return {good ? Outcome::kGood : Outcome::kMiss, origin, good ? Reason::kNone : Reason::kLate,
            part.flags};
  }
  return {Outcome::kMiss, Origin::kNone, Reason::kLost, 0};
}

RT_TICK Reason WatchdogCore::why_missing(uint64_t tick) const noexcept {
  TickPart part;
  if (file_.records[tick % kRecords].tick.read(part) && part.tick == tick) {
    return part.reason == Reason::kNone ? Reason::kLate : part.reason;
  }
  if (fresh_ != Reason::kNone) return fresh_;
  const uint64_t current = file_.tick_current.load(std::memory_order_relaxed);  // partner: begin()
  return current < tick ? Reason::kSkipped : Reason::kLate;
}

RT_TICK void WatchdogCore::step(uint64_t tick, const Settled& settled, uint32_t requests) noexcept {
  HealthEvent event;
  event.tick = tick;
  event.outcome = settled.outcome;
  event.observations_valid = fresh_ == Reason::kNone;
  event.restarted = source_restarted();
  event.arm = (requests & kArm) != 0;
  event.stop = (requests & kStop) != 0;
  event.reset = (requests & kReset) != 0;
  const HealthStep next = step_health(health_, plan_.health, event);
  health_ = next.state;
  if (next.recovered) {
    const uint64_t count = file_.recoveries_total.get();
    file_.recoveries[count % kRecoveries].write(next.recovery);
    file_.recoveries_total.add();
  }
  if (settled.outcome != Outcome::kNotArmed) {
    file_.by_origin[static_cast<size_t>(settled.origin)].add();
    if (settled.outcome == Outcome::kMiss)
      file_.by_reason[static_cast<size_t>(settled.reason)].add();
    if (settled.reason == Reason::kLost) file_.lost.add();
  }
  if (event.reset) file_.stop_now.store(0, std::memory_order_relaxed);  // partner: ingress, tick
  publish_health();
}

RT_TICK bool WatchdogCore::source_restarted() noexcept {
  bool restarted = false;
  for (size_t i = 0; i < plan_.sources.size(); ++i) {
    if (!plan_.sources[i].required || !observations_.seen(i)) continue;
    const uint64_t epoch = observations_.header(i).stamp.epoch;
    if (epochs_[i] != 0 && epoch != epochs_[i]) restarted = true;
    epochs_[i] = epoch;
  }
  return restarted;
}

RT_TICK void WatchdogCore::publish_health() noexcept {
  file_.health.store(static_cast<uint32_t>(health_.health), std::memory_order_relaxed);
  file_.latched_stop.store(health_.latched_stop ? 1 : 0, std::memory_order_relaxed);
  file_.session.store(health_.session, std::memory_order_relaxed);
  // partner: TickCore: who sees the arming sees its session.
  file_.armed_from.store(health_.armed_from, std::memory_order_release);
}

}  // namespace rtinfer::rt
