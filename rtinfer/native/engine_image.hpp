// A verified engine as one file of the runtime directory, for a running service to take over:
// msgpack, written by rtinfer.service.swap, which has checked every hash before.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "graphs/plan.hpp"
#include "rtinfer/native/engine.hpp"
#include "rtinfer/native/spec.hpp"

namespace rtinfer::rt {

// A plan with what binds it to its loop. Owns the memory that `bound` points into.
struct LoadedEngine {
  std::unique_ptr<graphs::Plan> plan;
  BoundEngine bound;
};

// The engine that runs `plan` inline.
Engine inline_engine(graphs::Plan& plan) noexcept;

// Reads, checks and warms up. Throws std::runtime_error or std::invalid_argument with a sentence.
std::unique_ptr<LoadedEngine> load_engine_image(const std::string& path, const LoopSpec& loop,
                                                const std::vector<SourceSpec>& sources);

}  // namespace rtinfer::rt
