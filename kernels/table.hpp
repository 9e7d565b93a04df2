// One table of kernels per instruction set, chosen at run time. All give the same bytes.
#pragma once

#include "kernels/args.hpp"
#include "kernels/functions.hpp"

namespace rtinfer::kernels {

struct Table {
  const char* isa;
  OpFn gemv, unary, copy, lstm, gru;
  UnaryFn unary_fn[kUnaryCount];
  OpFn binary[kBinaryCount];
  // y = x, with magnitudes below 2^-100 snapped to +0 (recurrent state).
  void (*snap)(const float* x, float* y, int64_t count) noexcept;
};

// Null where this build or this CPU lacks the instruction set; "reference" is the scalar truth.
const Table* find_table(const char* isa) noexcept;

// The fastest table that this CPU runs.
const Table& best_table() noexcept;

// "avx512, avx2, scalar": what this CPU can be asked for, best first, ended by a null pointer.
const char* const* available_isas() noexcept;

}  // namespace rtinfer::kernels
