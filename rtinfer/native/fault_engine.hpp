// An engine that is slow on purpose in given ticks: fault injection at the one engine seam.
#pragma once

#include <vector>

#include "rtinfer/native/clock.hpp"
#include "rtinfer/native/engine.hpp"
#include "rtinfer/native/realtime.hpp"
#include "rtinfer/native/spec.hpp"

namespace rtinfer::rt {

class FaultEngine {
 public:
  FaultEngine(Engine inner, const std::vector<EngineFault>& faults)
      : inner_(inner), faults_(faults) {}

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

 private:
  RunResult run(const EngineCall& call) noexcept {
    for (const EngineFault& fault : faults_) {
      const auto first = static_cast<uint64_t>(fault.first_tick);
      if (call.tick >= first && call.tick < first + static_cast<uint64_t>(fault.ticks)) {
        sleep_until_ns(monotonic_ns() + fault.delay_ns);
      }
    }
    return inner_.run(inner_.self, call);
  }

  Engine inner_;
  const std::vector<EngineFault>& faults_;
};

}  // namespace rtinfer::rt
