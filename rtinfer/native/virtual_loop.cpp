// Orders the tick thread's and the watchdog's deeds of one tick by their virtual times.
#include "rtinfer/native/virtual_loop.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <utility>

namespace rtinfer::rt {
namespace {

template <typename T>
T* zeroed(size_t bytes) {
  void* memory = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
  if (memory == nullptr) throw std::bad_alloc();
  std::memset(memory, 0, (bytes + 63) / 64 * 64);
  return static_cast<T*>(memory);
}

}  // namespace

void VirtualLoop::FreeDeleter::operator()(void* memory) const noexcept {
  std::free(memory);
}

VirtualLoop::VirtualLoop(const LoopSpec& loop, const std::vector<SourceSpec>& sources,
                         Engine engine, int64_t t0_ns, const std::vector<EngineFault>& faults,
                         Engine fallback)
    : faults_(engine, loop, 0, faults, FaultEngine::Sleep::kVirtual),
      engine_(faults_.engine()),
      bound_(bind_engine(loop, sources, timed(engine))),
      plan_(make_loop_plan(loop, sources)),
      file_(zeroed<LoopFile>(sizeof(LoopFile))),
      source_specs_(sources),
      order_(sources.size()),
      guard_ns_(initial_guard_ns(loop)) {
  plan_.grid.base_ns = t0_ns;
  clock_.set_ns(t0_ns);
  for (size_t i = 0; i < sources.size(); ++i) {
    source_files_.emplace_back(zeroed<SourceFile>(source_file_bytes(sources[i])));
    init_source_file(*source_files_[i], sources[i]);
    plan_.sources[i].mailbox = mailbox_of(*source_files_[i]);
  }
  init_loop_file(*file_, loop, sources, plan_);
  tick_ = std::make_unique<TickCore>(plan_, *file_, bound_, clock_);
  if (fallback.run != nullptr) fallback_ = bind_fallback(loop, sources, fallback);
  watchdog_ =
      std::make_unique<WatchdogCore>(plan_, *file_, clock_, fallback_ ? &*fallback_ : nullptr);
}

Drop VirtualLoop::observe(size_t source, const SourceStamp& stamp, const float* values,
                          int64_t received_ns) noexcept {
  SourceFile& file = *source_files_[source];
  file.received.add();
  const int64_t now = received_ns;
  Drop drop = Drop::kNone;
  if (stamp.stamp_ns > now + kFutureTolerance_ns) drop = Drop::kFuture;
  if (stamp.stamp_ns < now - source_specs_[source].max_age_ns) drop = Drop::kStale;
  const int64_t count = source_specs_[source].value_count();
  if (!std::all_of(values, values + count, [](float value) { return std::isfinite(value); })) {
    drop = Drop::kNonFinite;
  }
  SourceOrder::Result order;
  if (drop == Drop::kNone) {
    order = order_[source].admit(stamp);
    drop = order.drop;
  }
  if (drop != Drop::kNone) {
    file.dropped[static_cast<size_t>(drop)].add();
    return drop;
  }
  file.accepted.add();
  if (order.gap) file.gaps.add();
  if (order.restarted) file.restarts.add();
  plan_.sources[source].mailbox.write({stamp, now}, values);
  if (source == leading_source(plan_)) arrival_ns_ = std::min(arrival_ns_, now);
  return Drop::kNone;
}

std::string VirtualLoop::command(const std::string& verb) {
  if (verb == "arm") {
    if (file_->armed_from.load(std::memory_order_relaxed) != kNever)
      return "";  // as ingress answers
    if (file_->latched_stop.load(std::memory_order_relaxed) != 0)
      return "it is stopped, reset first";
    file_->requests.fetch_or(kArm, std::memory_order_release);  // partner: WatchdogCore::act
  } else if (verb == "stop") {
    file_->stop_now.store(1, std::memory_order_relaxed);         // partner: TickCore::publish
    file_->requests.fetch_or(kStop, std::memory_order_release);  // partner: WatchdogCore::act
  } else if (verb == "reset") {
    file_->requests.fetch_or(kReset, std::memory_order_release);  // partner: WatchdogCore::act
  } else {
    return "unknown verb '" + verb + "', expected arm, stop or reset";
  }
  return "";
}

// The engine's wall time is measured beside the virtual clock, which stands still meanwhile.
Engine VirtualLoop::timed(Engine engine) noexcept {
  engine.self = this;
  engine.run = [](void* self, const EngineCall& call) noexcept {
    auto* loop = static_cast<VirtualLoop*>(self);
    const int64_t start = monotonic_ns();
    const RunResult result = loop->engine_.run(loop->engine_.self, call);
    loop->engine_wall_ns_ = monotonic_ns() - start;
    return result;
  };
  engine.accept = [](void* self) noexcept {
    auto* loop = static_cast<VirtualLoop*>(self);
    loop->engine_.accept(loop->engine_.self);
  };
  engine.reset = [](void* self) noexcept {
    auto* loop = static_cast<VirtualLoop*>(self);
    loop->engine_.reset(loop->engine_.self);
  };
  return engine;
}

// The engine's result arrives: gate and commit at its own time.
void VirtualLoop::finish_pending() noexcept {
  clock_.set_ns(pending_end_ns_);
  tick_->finish();
  pending_ = false;
}

void VirtualLoop::run_tick_thread(uint64_t tick, int64_t at_ns, int64_t engine_ns) noexcept {
  clock_.set_ns(at_ns);
  if (tick > tick_done_ + 1) tick_->record_skipped(tick_done_ + 1, tick - 1);
  pending_ = tick_->begin(tick);
  pending_end_ns_ = at_ns + engine_ns + faults_.delay_ns(tick);
  tick_done_ = tick;
}

// When the tick starts that is due at `due_ns`: with trigger = "observation" at the arrival.
int64_t VirtualLoop::take_start(int64_t due_ns) noexcept {
  const int64_t arrival = std::exchange(arrival_ns_, kNoArrival);
  if (plan_.trigger != Trigger::kObservation) return due_ns;
  return std::clamp(arrival, earliest_start_ns(tick_->grid(), due_ns), due_ns);
}

bool VirtualLoop::step(const Step& step) noexcept {
  const uint64_t tick = next_++;
  const int64_t begin = take_start(tick_->grid().scheduled_ns(tick));
  const int64_t end = begin + plan_.grid.period_ns;
  const int64_t target = begin + plan_.deadline_ns - guard_ns_;
  const int64_t watch = target + step.watchdog_wakeup_ns;
  bool watch_due = step.watchdog_runs && watch < end;
  int64_t tick_at = begin + step.wakeup_ns;
  bool tick_due = step.tick_runs && tick_at < end;

  // At most four deeds: an earlier tick's result, this tick's start and result, the watchdog.
  while (true) {
    // The tick thread is busy until its result is out; what it missed meanwhile may be too late.
    if (pending_ && tick_due && tick_at < pending_end_ns_) {
      tick_at = pending_end_ns_;
      tick_due = tick_at < target;
    }
    const bool finish_due = pending_ && pending_end_ns_ < end;
    const bool watch_first = watch_due && (!finish_due || watch <= pending_end_ns_) &&
                             (!tick_due || watch <= tick_at || finish_due);
    if (watch_first) {
      clock_.set_ns(watch);
      watchdog_->act(tick, target, guard_ns_);
      watch_due = false;
    } else if (finish_due) {
      finish_pending();
    } else if (tick_due) {
      run_tick_thread(tick, tick_at, step.engine_ns);
      tick_due = false;
    } else {
      break;
    }
  }
  clock_.set_ns(tick_->grid().scheduled_ns(tick + 1));
  return tick_of(file_->commits.word.load(std::memory_order_relaxed)) == tick;
}

}  // namespace rtinfer::rt
