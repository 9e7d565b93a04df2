// A static plan: weights and tensors in one block of memory, and a flat list of kernel calls over
// it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graphs/block.hpp"
#include "graphs/op_builder.hpp"
#include "kernels/table.hpp"

namespace rtinfer::graphs {

// One operation of plan.json: integers and floats in the order that docs/numerics.md lists.
struct OpSpec {
  std::string name;
  std::vector<int64_t> ints;
  std::vector<double> floats;
};

// Recurrent state: accept_state() copies `bytes` from offset `out` to offset `in`.
struct StateSpec {
  int64_t in, out, bytes;
};

// Byte offsets count from the start of the block: the weights, then, from the next multiple of 64,
// the arena.
struct PlanSpec {
  std::span<const std::byte> weights;
  int64_t arena_bytes = 0;
  std::vector<OpSpec> ops;
  std::vector<StateSpec> state;
};

class Plan {
 public:
  // Null and a sentence in `error` where an op is unknown, malformed, or reaches outside of the
  // block, or where RTINFER_ISA names an instruction set that this CPU lacks. A plan that exists
  // never reads or writes outside of its block, nor writes its weights.
  static std::unique_ptr<Plan> create(const PlanSpec& spec, std::string& error);

  // Reads the state's inputs and writes its outputs; until accept_state() it leaves no trace.
  void run() noexcept;
  // The last run counts: its state outputs become inputs; magnitudes below 2^-100 become zero.
  void accept_state() noexcept;
  void reset_state() noexcept;

  std::byte* block() noexcept { return block_.data(); }
  int64_t block_bytes() const noexcept { return tensor_bytes_; }  // weights and arena
  int64_t weights_bytes() const noexcept { return weights_bytes_; }
  const char* isa() const noexcept { return table_->isa; }

 private:
  Plan() = default;

  Block block_;
  const kernels::Table* table_ = nullptr;
  std::vector<Op> ops_;
  std::vector<StateSpec> state_;
  int64_t weights_bytes_ = 0, tensor_bytes_ = 0;
};

}  // namespace rtinfer::graphs
