// The one seam between a loop and whatever computes its policy: static views and function pointers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "rtinfer/native/rt_tick.hpp"

namespace rtinfer::rt {

struct Engine {
  void* self = nullptr;
  std::byte* block = nullptr;  // inputs and outputs lie here, at fixed offsets
  int64_t block_bytes = 0;
  bool (*run)(void* self) noexcept = nullptr;     // false: the engine failed
  void (*accept)(void* self) noexcept = nullptr;  // the run counts: recurrent state moves on
  void (*reset)(void* self) noexcept = nullptr;   // recurrent state to zero
};

}  // namespace rtinfer::rt
