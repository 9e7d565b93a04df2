// Checks of everything that the cores index by, once, so that a tick needs none.
#include "rtinfer/native/loop_plan.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace rtinfer::rt {
namespace {

[[noreturn]] void refuse(const std::string& sentence) {
  throw std::invalid_argument(sentence);
}

void require_range(const std::string& what, int64_t offset, int64_t bytes, int64_t block_bytes) {
  if (offset < 0 || bytes < 0 || offset > block_bytes - bytes) {
    refuse(what + " lies at bytes " + std::to_string(offset) + " to " +
           std::to_string(offset + bytes) + ", expected within the engine's " +
           std::to_string(block_bytes));
  }
}

void require_source(const std::string& what, int64_t source, int64_t start, int64_t size,
                    const std::vector<SourceSpec>& sources) {
  if (source < 0 || source >= static_cast<int64_t>(sources.size())) {
    refuse(what + " names source " + std::to_string(source) + ", expected 0 to " +
           std::to_string(sources.size()));
  }
  const int64_t available = sources[static_cast<size_t>(source)].value_count();
  if (start < 0 || size < 0 || start > available - size) {
    refuse(what + " takes values " + std::to_string(start) + " to " + std::to_string(start + size) +
           " of source '" + sources[static_cast<size_t>(source)].name + "', which has " +
           std::to_string(available));
  }
}

void check_timing(const LoopSpec& loop) {
  if (loop.period_ns < 10'000) refuse("loop '" + loop.name + "': a period below 10 us is not kept");
  if (loop.deadline_ns <= 0 || loop.deadline_ns > loop.period_ns) {
    refuse("loop '" + loop.name + "': the deadline is " + std::to_string(loop.deadline_ns) +
           " ns, expected 1 to the period of " + std::to_string(loop.period_ns));
  }
  if (loop.guard_ns >= loop.deadline_ns) {
    refuse("loop '" + loop.name + "': the guard is not below the deadline");
  }
  if (loop.degraded_after < 1 || loop.safe_after < loop.degraded_after || loop.recovery_ticks < 1 ||
      loop.blend_ticks < 0) {
    refuse("loop '" + loop.name +
           "': expected 1 <= degraded_after <= safe_after, recovery_ticks >= 1");
  }
}

BoundEngine bind_terms(const LoopSpec& loop, const std::vector<SourceSpec>& sources, Engine engine,
                       const std::vector<TermSpec>& terms, const std::vector<int64_t>& outputs) {
  BoundEngine bound;
  bound.engine = engine;
  for (const TermSpec& term : terms) {
    require_source("an observation term", term.source, term.start, term.size, sources);
    require_range("an observation term", term.offset, term.size * int64_t{sizeof(float)},
                  engine.block_bytes);
    bound.terms.push_back({static_cast<size_t>(term.source), static_cast<size_t>(term.start),
                           static_cast<size_t>(term.size), term.offset});
  }
  if (outputs.size() != loop.groups.size()) {
    refuse("loop '" + loop.name + "' has " + std::to_string(outputs.size()) +
           " outputs, expected one for each of its " + std::to_string(loop.groups.size()) +
           " groups");
  }
  for (size_t g = 0; g < outputs.size(); ++g) {
    require_range("group '" + loop.groups[g].name + "'", outputs[g],
                  loop.groups[g].size * int64_t{sizeof(float)}, engine.block_bytes);
  }
  bound.outputs = outputs;
  return bound;
}

void set_hash(BoundEngine& bound, const std::string& hash) {
  if (hash.size() == sizeof(bound.hash)) std::memcpy(bound.hash.data(), hash.data(), hash.size());
}

}  // namespace

LoopPlan make_loop_plan(const LoopSpec& loop, const std::vector<SourceSpec>& sources) {
  check_timing(loop);
  if (sources.empty() || sources.size() > kMaxSources) {
    refuse("loop '" + loop.name + "' has " + std::to_string(sources.size()) +
           " sources, expected 1 to " + std::to_string(kMaxSources));
  }
  LoopPlan plan;
  plan.trigger = static_cast<Trigger>(loop.trigger);
  plan.grid.period_ns = plan.trigger == Trigger::kObservation
                            ? observation_period_ns(loop.period_ns)
                            : loop.period_ns;
  plan.phase_margin_ns = loop.phase_margin_ns;
  plan.deadline_ns = loop.deadline_ns;
  plan.health = {static_cast<uint32_t>(loop.degraded_after), static_cast<uint32_t>(loop.safe_after),
                 static_cast<uint32_t>(loop.recovery_ticks), loop.arm == 1};
  plan.actions = ActionTable::create(loop);
  for (const SourceSpec& source : sources) {
    LoopSource& one = plan.sources.emplace_back();
    one.value_count = static_cast<uint32_t>(source.value_count());
    one.max_age_ns = source.max_age_ns;
  }
  for (const TermSpec& term : loop.terms) {
    require_source("an observation term", term.source, term.start, term.size, sources);
    plan.sources[static_cast<size_t>(term.source)].required = true;
  }
  for (const GroupSpec& group : loop.groups) {
    if (group.measured_source < 0) continue;
    require_source("measured of group '" + group.name + "'", group.measured_source,
                   group.measured_start, group.size, sources);
    plan.sources[static_cast<size_t>(group.measured_source)].required = true;
  }
  return plan;
}

BoundEngine bind_engine(const LoopSpec& loop, const std::vector<SourceSpec>& sources,
                        Engine engine) {
  std::vector<int64_t> outputs;
  for (const GroupSpec& group : loop.groups) outputs.push_back(group.output_offset);
  BoundEngine bound = bind_terms(loop, sources, engine, loop.terms, outputs);
  set_hash(bound, loop.engine_hash);
  return bound;
}

BoundEngine bind_fallback(const LoopSpec& loop, const std::vector<SourceSpec>& sources,
                          Engine engine) {
  BoundEngine bound = bind_terms(loop, sources, engine, loop.fallback_terms, loop.fallback_outputs);
  set_hash(bound, loop.fallback_hash);
  return bound;
}

void init_loop_file(LoopFile& file, const LoopSpec& loop, const std::vector<SourceSpec>& sources,
                    const LoopPlan& plan) noexcept {
  file.version = kLayoutVersion;
  file.file_bytes = sizeof(LoopFile);
  file.t0_ns = plan.grid.base_ns;
  file.grid.write(plan.grid);
  file.period_ns = loop.period_ns;
  file.deadline_ns = plan.deadline_ns;
  file.value_count = plan.actions.count;
  file.source_count = static_cast<uint32_t>(sources.size());
  file.best_effort = plan.best_effort ? 1 : 0;
  std::memcpy(file.name, loop.name.data(), std::min(loop.name.size(), kNameBytes - 1));
  for (size_t i = 0; i < sources.size(); ++i) {
    if (sources[i].loop >= 0) continue;  // it has no file of its own
    const std::string& name = sources[i].name;
    std::memcpy(file.sources[i], name.data(), std::min(name.size(), kNameBytes - 1));
  }
  file.armed_from.store(kNever, std::memory_order_relaxed);  // partner: none yet, no thread runs
  file.magic = kLoopMagic;
}

size_t source_file_bytes(const SourceSpec& spec) noexcept {
  const auto count = static_cast<uint32_t>(spec.value_count());
  return sizeof(SourceFile) + 8 * kMailboxSlots * Mailbox::value_words(count);
}

void init_source_file(SourceFile& file, const SourceSpec& spec) noexcept {
  file.version = kLayoutVersion;
  file.value_count = static_cast<uint32_t>(spec.value_count());
  file.file_bytes = source_file_bytes(spec);
  std::memcpy(file.name, spec.name.data(), std::min(spec.name.size(), kNameBytes - 1));
  file.magic = kSourceMagic;
}

Mailbox mailbox_of(SourceFile& file) noexcept {
  // partner: Mailbox::read() and write(); the words lie behind the header.
  auto* words = reinterpret_cast<std::atomic<uint64_t>*>(&file + 1);
  return {&file.mailbox, words, file.value_count};
}

int64_t initial_guard_ns(const LoopSpec& loop) noexcept {
  if (loop.guard_ns >= 0) return loop.guard_ns;
  return std::min<int64_t>(300'000, loop.deadline_ns / 8);
}

}  // namespace rtinfer::rt
