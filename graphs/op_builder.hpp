// Checks one operation of a plan against the block and resolves it to a kernel call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/table.hpp"

namespace rtinfer::graphs {

struct Op {
  kernels::OpFn run;
  kernels::OpArgs args;
};

// Bytes [start, end) of the block.
struct Range {
  int64_t start, end;
};

inline bool overlap(Range a, Range b) {
  return a.start < b.end && b.start < a.end;
}

// Where tensors may lie: [0, weights) is read-only, [weights, tensors) is the arena; then comes
// scratch that only recurrent kernels use.
struct Layout {
  std::byte* base;
  int64_t weights_bytes, tensor_bytes;
};

// Scratch that this op needs, in bytes; 0 for a malformed one, which build() refuses.
int64_t scratch_bytes(const std::string& name, const std::vector<int64_t>& ints);

class OpBuilder {
 public:
  OpBuilder(const kernels::Table& table, Layout layout) : table_(table), layout_(layout) {}

  // False, and a sentence in error(), where the op is refused.
  bool build(const std::string& name, const std::vector<int64_t>& ints,
             const std::vector<double>& floats, Op& op);
  const std::string& error() const { return error_; }
  // Everything that the last op built writes.
  const std::vector<Range>& writes() const { return writes_; }

 private:
  bool gemv(kernels::GemvArgs& args);
  bool unary(kernels::UnaryArgs& args);
  bool binary(kernels::BinaryArgs& args, kernels::OpFn& run);
  bool copy(kernels::CopyArgs& args);
  bool lstm(kernels::LstmArgs& args);
  bool gru(kernels::GruArgs& args);

  bool fail(const std::string& what);
  bool sizes(std::initializer_list<std::size_t> which);
  bool axes(std::size_t rank_at, std::size_t lists);
  bool function(std::size_t at, int count);
  // `count` floats at the offset ints[at]; an optional tensor is null at offset -1.
  bool read(std::size_t at, int64_t count, const char* what, const float*& data,
            bool optional = false);
  bool write(std::size_t at, int64_t count, const char* what, float*& data, bool optional = false);
  bool range(std::size_t at, int64_t count, const char* what, int64_t lowest, Range& out);
  bool disjoint(const char* what);
  float* scratch() const;

  const kernels::Table& table_;
  Layout layout_;
  std::vector<int64_t> ints_;
  std::vector<double> floats_;
  std::vector<Range> reads_, writes_;
  std::string error_;
};

}  // namespace rtinfer::graphs
