// An engine that is slow on purpose in given ticks: fault injection at the one engine seam.
#pragma once

#include <vector>

#include "rtinfer/native/clock.hpp"
#include "rtinfer/native/engine.hpp"
#include "rtinfer/native/layout.hpp"
#include "rtinfer/native/realtime.hpp"
#include "rtinfer/native/spec.hpp"

namespace rtinfer::rt {

class FaultEngine {
 public:
  FaultEngine(Engine inner, const std::vector<EngineFault>& faults, const LoopFile& file)
      : inner_(inner), faults_(faults), file_(file) {}

  Engine engine() noexcept {
    Engine outer = inner_;
    outer.self = this;
    outer.run = [](void* self) noexcept { return static_cast<FaultEngine*>(self)->run(); };
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

 private:
  bool run() noexcept {
    const uint64_t tick = file_.tick_current.load(std::memory_order_relaxed);  // own thread's store
    for (const EngineFault& fault : faults_) {
      const auto first = static_cast<uint64_t>(fault.first_tick);
      if (tick >= first && tick < first + static_cast<uint64_t>(fault.ticks)) {
        sleep_until_ns(monotonic_ns() + fault.delay_ns);
      }
    }
    return inner_.run(inner_.self);
  }

  Engine inner_;
  const std::vector<EngineFault>& faults_;
  const LoopFile& file_;
};

}  // namespace rtinfer::rt
