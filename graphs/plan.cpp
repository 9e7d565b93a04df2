// Builds a plan: the block, every op checked and resolved, the state; and runs it.
#include "graphs/plan.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "kernels/float_control.hpp"

namespace rtinfer::graphs {

namespace {

constexpr int64_t kAlign = 64;
constexpr int64_t kLargestArena = int64_t{1} << 30;

int64_t round_up(int64_t bytes) {
  return (bytes + kAlign - 1) / kAlign * kAlign;
}

const kernels::Table* choose_table(std::string& error) {
  const char* const forced = std::getenv("RTINFER_ISA");
  if (!forced || !*forced) return &kernels::best_table();
  if (const kernels::Table* const table = kernels::find_table(forced)) return table;
  error = "RTINFER_ISA is '" + std::string(forced) + "', but this machine runs only";
  const char* separator = " ";
  for (const char* const* name = kernels::available_isas(); *name; ++name) {
    error += separator + std::string(*name);
    separator = ", ";
  }
  error += ": unset it or name one of these";
  return nullptr;
}

bool inside(int64_t offset, int64_t bytes, int64_t start, int64_t end) {
  return bytes > 0 && bytes % 4 == 0 && offset % 4 == 0 && offset >= start && bytes <= end &&
         offset <= end - bytes;
}

Range input_of(const StateSpec& s) {
  return {s.in, s.in + s.bytes};
}
Range output_of(const StateSpec& s) {
  return {s.out, s.out + s.bytes};
}

// A state's input is written by accept_state() alone, so that an unaccepted run leaves no trace.
std::string check_state(const std::vector<StateSpec>& state, int64_t start, int64_t end) {
  for (std::size_t i = 0; i < state.size(); ++i) {
    const StateSpec& s = state[i];
    const std::string name = "plan state " + std::to_string(i);
    if (!inside(s.in, s.bytes, start, end) || !inside(s.out, s.bytes, start, end)) {
      return name + " takes " + std::to_string(s.bytes) + " bytes at offsets " +
             std::to_string(s.in) + " and " + std::to_string(s.out) +
             ", expected multiples of 4 within the arena, bytes " + std::to_string(start) + " to " +
             std::to_string(end) + ": rebuild the engine";
    }
    for (std::size_t j = 0; j < state.size(); ++j) {
      const bool inputs_meet = j < i && overlap(input_of(s), input_of(state[j]));
      if (inputs_meet || overlap(input_of(s), output_of(state[j]))) {
        return name + " has an input that overlaps another state tensor: rebuild the engine";
      }
    }
  }
  return "";
}

}  // namespace

std::unique_ptr<Plan> Plan::create(const PlanSpec& spec, std::string& error) {
  const kernels::Table* const table = choose_table(error);
  if (!table) return nullptr;
  if (spec.arena_bytes < 0 || spec.arena_bytes > kLargestArena) {
    error = "the plan's arena is " + std::to_string(spec.arena_bytes) + " bytes, expected 0 to " +
            std::to_string(kLargestArena) + ": rebuild the engine";
    return nullptr;
  }
  std::unique_ptr<Plan> plan(new Plan);
  plan->table_ = table;
  plan->weights_bytes_ = round_up(static_cast<int64_t>(spec.weights.size()));
  plan->tensor_bytes_ = plan->weights_bytes_ + round_up(spec.arena_bytes);
  error = check_state(spec.state, plan->weights_bytes_, plan->tensor_bytes_);
  if (!error.empty()) return nullptr;

  int64_t scratch = 0;
  for (const OpSpec& op : spec.ops) scratch = std::max(scratch, scratch_bytes(op.name, op.ints));
  if (!plan->block_.allocate(plan->tensor_bytes_ + scratch)) {
    error = "no memory for the plan's " + std::to_string(plan->tensor_bytes_ + scratch) + " bytes";
    return nullptr;
  }
  if (!spec.weights.empty()) {
    std::memcpy(plan->block_.data(), spec.weights.data(), spec.weights.size());
  }

  OpBuilder builder(*table, {plan->block_.data(), plan->weights_bytes_, plan->tensor_bytes_});
  plan->ops_.resize(spec.ops.size());
  for (std::size_t i = 0; i < spec.ops.size(); ++i) {
    const OpSpec& op = spec.ops[i];
    std::string why;
    if (!builder.build(op.name, op.ints, op.floats, plan->ops_[i])) why = builder.error();
    for (const Range& written : builder.writes()) {
      for (const StateSpec& s : spec.state) {
        if (overlap(written, input_of(s))) why = "it writes a recurrent state's input";
      }
    }
    if (!why.empty()) {
      error =
          "plan op " + std::to_string(i) + " (" + op.name + "): " + why + ": rebuild the engine";
      return nullptr;
    }
  }
  plan->state_ = spec.state;
  return plan;
}

void Plan::run() noexcept {
  const kernels::FloatControl float_control;
  for (const Op& op : ops_) op.run(op.args);
}

void Plan::accept_state() noexcept {
  for (const StateSpec& s : state_) {
    table_->snap(reinterpret_cast<const float*>(block_.data() + s.out),
                 reinterpret_cast<float*>(block_.data() + s.in), s.bytes / 4);
  }
}

void Plan::reset_state() noexcept {
  for (const StateSpec& s : state_) {
    std::memset(block_.data() + s.in, 0, static_cast<std::size_t>(s.bytes));
  }
}

}  // namespace rtinfer::graphs
