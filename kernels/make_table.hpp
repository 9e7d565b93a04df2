// Fills a table with the kernels of one kind of lanes. Included once per instruction set's file.
#pragma once

#include "kernels/elementwise.hpp"
#include "kernels/gemv.hpp"
#include "kernels/recurrent.hpp"
#include "kernels/table.hpp"

namespace rtinfer::kernels {
namespace {

template <class V, int Code = 0>
constexpr void fill_unary(Table& table) {
  if constexpr (Code < kUnaryCount) {
    table.unary_fn[Code] = unary<static_cast<Unary>(Code), V>;
    fill_unary<V, Code + 1>(table);
  }
}

template <class V, int Code = 0>
constexpr void fill_binary(Table& table) {
  if constexpr (Code < kBinaryCount) {
    table.binary[Code] = binary<static_cast<Binary>(Code), V>;
    fill_binary<V, Code + 1>(table);
  }
}

template <class V, OpFn Gemv, ProductFn Product>
constexpr Table make_table(const char* isa) {
  Table table{};
  table.isa = isa;
  table.gemv = Gemv;
  table.unary = unary_op;
  table.copy = copy;
  table.lstm = lstm<V, Product>;
  table.gru = gru<V, Product>;
  table.snap = snap;
  fill_unary<V>(table);
  fill_binary<V>(table);
  return table;
}

}  // namespace
}  // namespace rtinfer::kernels
