// The one seam between a loop and whatever computes its policy: static views and function pointers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "rtinfer/native/rt_tick.hpp"

namespace rtinfer::rt {

enum class RunResult : uint8_t { kDone, kFailed, kLate };

// What an engine may know of the tick it runs in.
struct EngineCall {
  uint64_t tick = 0;
  int64_t give_up_ns = 0;  // nobody wants the result later; an inline engine cannot be interrupted
};

struct Engine {
  void* self = nullptr;
  std::byte* block = nullptr;  // inputs and outputs lie here, at fixed offsets
  int64_t block_bytes = 0;
  RunResult (*run)(void* self, const EngineCall& call) noexcept = nullptr;
  void (*accept)(void* self) noexcept = nullptr;  // the run counts: recurrent state moves on
  void (*reset)(void* self) noexcept = nullptr;   // recurrent state to zero
};

// Values of a source that become an input of the engine.
struct Term {
  size_t source = 0;
  size_t start = 0;  // index of the first value within the source
  size_t size = 0;
  int64_t offset = 0;  // byte offset in the engine's block
};

using EngineHash = std::array<uint64_t, 4>;  // SHA-256, as its bytes lie in memory

// An engine and where its loop finds inputs and outputs in it. Another engine of the same policy
// has its own offsets, so this is what a swap exchanges.
struct BoundEngine {
  Engine engine;
  std::vector<Term> terms;
  std::vector<int64_t> outputs;  // byte offset of each action group's first value
  EngineHash hash{};
};

}  // namespace rtinfer::rt
