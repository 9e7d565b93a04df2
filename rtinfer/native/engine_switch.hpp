// How a running loop gets another engine between two ticks, or a candidate beside the one that
// serves.
#pragma once

#include <atomic>
#include <cstdint>

#include "rtinfer/native/engine.hpp"

namespace rtinfer::rt {

struct EngineSwitch {
  // Set by the loader, taken by the tick thread between two ticks. partner: TickCore::adopt
  std::atomic<const BoundEngine*> next{nullptr};
  // What the tick thread runs; the loader frees no engine that stands here. partner: loader
  std::atomic<const BoundEngine*> active{nullptr};
  // A candidate that runs on the same observations without publishing. partner:
  // TickCore::run_shadow
  std::atomic<const BoundEngine*> shadow{nullptr};
  // The candidate that the tick thread has seen last. partner: loader, before it frees one
  std::atomic<const BoundEngine*> shadow_active{nullptr};
};

}  // namespace rtinfer::rt
