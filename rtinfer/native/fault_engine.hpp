// An engine that is slow, fails or says nonsense on purpose in given ticks: fault injection at the
// one engine seam.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "rtinfer/native/clock.hpp"
#include "rtinfer/native/engine.hpp"
#include "rtinfer/native/realtime.hpp"
#include "rtinfer/native/spec.hpp"

namespace rtinfer::rt {

class FaultEngine {
 public:
  enum class Sleep { kReal, kVirtual };

  // Plays those of `faults` that are of loop `index`. kVirtual: on a virtual clock, whose owner
  // adds delay_ns() itself.
  FaultEngine(Engine inner, const LoopSpec& loop, int64_t index,
              const std::vector<EngineFault>& faults, Sleep sleep = Sleep::kReal)
      : inner_(inner), sleep_(sleep) {
    for (const EngineFault& fault : faults) {
      if (fault.loop == index && fault.ticks > 0) faults_.push_back(fault);
    }
    std::stable_sort(faults_.begin(), faults_.end(),
                     [](const auto& a, const auto& b) { return a.first_tick < b.first_tick; });
    for (const GroupSpec& group : loop.groups) {
      outputs_.emplace_back(group.output_offset, group.size);
    }
  }

  Engine engine() noexcept {
    Engine outer = inner_;
    outer.self = this;
    outer.run = [](void* self, const EngineCall& call) noexcept {
      return static_cast<FaultEngine*>(self)->run(call);
    };
    outer.accept = [](void* self) noexcept {
      auto* fault = static_cast<FaultEngine*>(self);
      fault->inner_.accept(fault->inner_.self);
    };
    outer.reset = [](void* self) noexcept {
      auto* fault = static_cast<FaultEngine*>(self);
      fault->inner_.reset(fault->inner_.self);
    };
    return outer;
  }

  // How much longer the engine takes in `tick`.
  int64_t delay_ns(uint64_t tick) noexcept {
    int64_t delay = 0;
    each(tick, [&](const EngineFault& fault) {
      if (static_cast<FaultKind>(fault.kind) == FaultKind::kSlow) delay += fault.delay_ns;
    });
    return delay;
  }

 private:
  RunResult run(const EngineCall& call) noexcept {
    if (faults_.empty()) return inner_.run(inner_.self, call);
    const int64_t delay = sleep_ == Sleep::kReal ? delay_ns(call.tick) : 0;
    if (delay > 0) sleep_until_ns(monotonic_ns() + delay);
    RunResult result = inner_.run(inner_.self, call);
    each(call.tick, [&](const EngineFault& fault) {
      const auto kind = static_cast<FaultKind>(fault.kind);
      if (kind == FaultKind::kFail) result = RunResult::kFailed;
      if (kind == FaultKind::kNan) say(std::numeric_limits<float>::quiet_NaN());
      if (kind == FaultKind::kGarbage) say(static_cast<float>(fault.value));
    });
    return result;
  }

  // Overwrites all outputs: value, -value, value...
  void say(float value) noexcept {
    for (const auto& [offset, size] : outputs_) {
      for (int64_t i = 0; i < size; ++i) {
        std::memcpy(inner_.block + offset + i * int64_t{sizeof(float)}, &value, sizeof(float));
        value = -value;
      }
    }
  }

  // Calls `use` with each fault of `tick`. Ticks come in order, so what has passed is not seen
  // again.
  template <typename Use>
  void each(uint64_t tick, Use use) noexcept {
    const auto at = static_cast<int64_t>(tick);
    while (next_ < faults_.size() && faults_[next_].first_tick + faults_[next_].ticks <= at) {
      ++next_;
    }
    for (size_t i = next_; i < faults_.size() && faults_[i].first_tick <= at; ++i) {
      if (at < faults_[i].first_tick + faults_[i].ticks) use(faults_[i]);
    }
  }

  Engine inner_;
  Sleep sleep_;
  std::vector<EngineFault> faults_;  // by first tick
  size_t next_ = 0;
  std::vector<std::pair<int64_t, int64_t>> outputs_;  // byte offset, values
};

}  // namespace rtinfer::rt
