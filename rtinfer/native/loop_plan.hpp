// From specs to what the cores run on: the loop's plan, and its files laid out.
#pragma once

#include <vector>

#include "rtinfer/native/loop_core.hpp"
#include "rtinfer/native/spec.hpp"

namespace rtinfer::rt {

// Throws std::invalid_argument with a sentence. The caller sets plan.sources[i].mailbox and the
// grid.
LoopPlan make_loop_plan(const LoopSpec& loop, const std::vector<SourceSpec>& sources);

// Where `engine` takes its inputs and leaves its outputs. Throws std::invalid_argument.
BoundEngine bind_engine(const LoopSpec& loop, const std::vector<SourceSpec>& sources,
                        Engine engine);

void init_loop_file(LoopFile& file, const LoopSpec& loop, const std::vector<SourceSpec>& sources,
                    const LoopPlan& plan) noexcept;

size_t source_file_bytes(const SourceSpec& spec) noexcept;
void init_source_file(SourceFile& file, const SourceSpec& spec) noexcept;
Mailbox mailbox_of(SourceFile& file) noexcept;

// The same for the engine that stands in on a miss.
BoundEngine bind_fallback(const LoopSpec& loop, const std::vector<SourceSpec>& sources,
                          Engine engine);

// The guard before anything was measured: a fixed share of the deadline, 300 us at most.
int64_t initial_guard_ns(const LoopSpec& loop) noexcept;

}  // namespace rtinfer::rt
