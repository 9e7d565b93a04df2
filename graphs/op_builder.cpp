// The checks that keep a corrupt plan inside its block: counts, sizes, offsets, overlaps, codes.
#include "graphs/op_builder.hpp"

#include <algorithm>
#include <initializer_list>

namespace rtinfer::graphs {

namespace {

using kernels::padded;

constexpr int64_t kLargest = int64_t{1} << 31;  // of any one size or stride
constexpr int64_t kLargestHidden = int64_t{1} << 16;
constexpr int64_t kTooMany = int64_t{1} << 60;  // stands for every larger product
constexpr int64_t kFloat = sizeof(float);

struct Form {
  const char* name;
  std::size_t ints;  // fewest
  std::size_t floats;
};

constexpr Form kForms[] = {{"gemv", 8, 2}, {"unary", 4, 2}, {"binary", 5, 0},
                           {"copy", 3, 0}, {"lstm", 13, 0}, {"gru", 13, 0}};

// Places in the list of ints (docs/numerics.md).
constexpr std::size_t kLstmHidden = 11, kGruHidden = 10;

int64_t product(std::initializer_list<int64_t> factors) {
  int64_t total = 1;
  for (const int64_t f : factors) {
    if (f != 0 && total > kTooMany / f) return kTooMany;
    total *= f;
  }
  return total;
}

// Floats from the first element to one past the last of a strided tensor.
int64_t extent(int64_t rank, const int64_t* dims, const int64_t* strides) {
  int64_t last = 0;
  for (int64_t i = 0; i < rank; ++i) {
    last = std::min(kTooMany, last + product({dims[i] - 1, strides[i]}));
  }
  return last + 1;
}

// Merges axes that lie behind one another in both tensors, so that inner loops are long.
void collapse(int64_t& rank, int64_t* dims, int64_t* a, int64_t* b) {
  int64_t kept = 0;
  for (int64_t i = 0; i < rank; ++i) {
    if (dims[i] == 1 && (kept > 0 || i + 1 < rank)) continue;
    const int64_t before = kept - 1;
    if (kept > 0 && a[before] == a[i] * dims[i] && b[before] == b[i] * dims[i]) {
      dims[before] *= dims[i];
      a[before] = a[i];
      b[before] = b[i];
      continue;
    }
    dims[kept] = dims[i];
    a[kept] = a[i];
    b[kept] = b[i];
    ++kept;
  }
  rank = kept;
}

}  // namespace

int64_t scratch_bytes(const std::string& name, const std::vector<int64_t>& ints) {
  const bool is_lstm = name == "lstm";
  if ((!is_lstm && name != "gru") || ints.size() != 13) return 0;
  const int64_t hidden = ints[is_lstm ? kLstmHidden : kGruHidden];
  if (hidden < 1 || hidden > kLargestHidden) return 0;
  return kFloat * (is_lstm ? kernels::lstm_scratch(hidden) : kernels::gru_scratch(hidden));
}

bool OpBuilder::fail(const std::string& what) {
  error_ = what;
  return false;
}

// The ints at these places are sizes.
bool OpBuilder::sizes(std::initializer_list<std::size_t> which) {
  for (const std::size_t at : which) {
    if (ints_[at] < 1 || ints_[at] > kLargest) {
      return fail("integer " + std::to_string(at) + " is " + std::to_string(ints_[at]) +
                  ", expected a size between 1 and " + std::to_string(kLargest));
    }
  }
  return true;
}

// ints: rank at `rank_at`, then dims, then strides: `lists` lists of `rank` values.
bool OpBuilder::axes(std::size_t rank_at, std::size_t lists) {
  const int64_t rank = ints_[rank_at];
  if (rank < 1 || rank > kernels::kMaxRank) {
    return fail("the rank is " + std::to_string(rank) + ", expected 1 to " +
                std::to_string(kernels::kMaxRank));
  }
  const auto n = static_cast<std::size_t>(rank);
  const std::size_t wanted = rank_at + 1 + lists * n;
  if (ints_.size() != wanted) {
    return fail("it has " + std::to_string(ints_.size()) + " integers, expected " +
                std::to_string(wanted));
  }
  for (std::size_t i = rank_at + 1; i < wanted; ++i) {
    const int64_t lowest = i <= rank_at + n ? 1 : 0;
    if (ints_[i] < lowest || ints_[i] > kLargest) {
      return fail("integer " + std::to_string(i) + " is " + std::to_string(ints_[i]) +
                  ", expected a dimension or stride of at least " + std::to_string(lowest));
    }
  }
  return true;
}

bool OpBuilder::function(std::size_t at, int count) {
  if (ints_[at] >= 0 && ints_[at] < count) return true;
  return fail("function " + std::to_string(ints_[at]) + " is unknown, expected 0 to " +
              std::to_string(count - 1));
}

bool OpBuilder::range(std::size_t at, int64_t count, const char* what, int64_t lowest, Range& out) {
  const int64_t start = ints_[at];
  const int64_t bytes = product({count, kFloat});
  const int64_t end = layout_.tensor_bytes;
  if (start < lowest || start % kFloat != 0 || bytes > end || start > end - bytes) {
    return fail(std::string(what) + " takes " + std::to_string(bytes) + " bytes at offset " +
                std::to_string(start) + ", expected a multiple of 4 within bytes " +
                std::to_string(lowest) + " to " + std::to_string(end));
  }
  out = {start, start + bytes};
  return true;
}

bool OpBuilder::read(std::size_t at, int64_t count, const char* what, const float*& data,
                     bool optional) {
  data = nullptr;
  if (optional && ints_[at] == -1) return true;
  Range bytes;
  if (!range(at, count, what, 0, bytes)) return false;
  reads_.push_back(bytes);
  data = reinterpret_cast<const float*>(layout_.base + bytes.start);
  return true;
}

bool OpBuilder::write(std::size_t at, int64_t count, const char* what, float*& data,
                      bool optional) {
  data = nullptr;
  if (optional && ints_[at] == -1) return true;
  Range bytes;
  if (!range(at, count, what, layout_.weights_bytes, bytes)) return false;
  writes_.push_back(bytes);
  data = reinterpret_cast<float*>(layout_.base + bytes.start);
  return true;
}

// Kernels of different instruction sets read and write in different steps: over an overlap their
// bytes would differ.
bool OpBuilder::disjoint(const char* what) {
  for (std::size_t i = 0; i < writes_.size(); ++i) {
    for (const Range& r : reads_) {
      if (overlap(writes_[i], r)) return fail(std::string(what) + " overlaps what the op reads");
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (overlap(writes_[i], writes_[j])) return fail(std::string(what) + " overlap");
    }
  }
  return true;
}

float* OpBuilder::scratch() const {
  return reinterpret_cast<float*>(layout_.base + layout_.tensor_bytes);
}

// ints: x, w, b, y, rows, k, n, act
bool OpBuilder::gemv(kernels::GemvArgs& a) {
  if (ints_.size() != 8) return fail("expected 8 integers");
  if (!sizes({4, 5, 6}) || !function(7, kernels::kUnaryCount)) return false;
  a.rows = ints_[4];
  a.k = ints_[5];
  a.n = ints_[6];
  if (!read(0, product({a.rows, a.k}), "x", a.x) ||
      !read(1, product({padded(a.n), a.k}), "w", a.w) || !read(2, padded(a.n), "b", a.b, true) ||
      !write(3, product({a.rows, a.n}), "y", a.y)) {
    return false;
  }
  a.act = ints_[7] == 0 ? nullptr : table_.unary_fn[ints_[7]];
  a.alpha = static_cast<float>(floats_[0]);
  a.beta = static_cast<float>(floats_[1]);
  return disjoint("y");
}

// ints: x, y, count, fn
bool OpBuilder::unary(kernels::UnaryArgs& a) {
  if (ints_.size() != 4) return fail("expected 4 integers");
  if (!sizes({2}) || !function(3, kernels::kUnaryCount)) return false;
  a.count = ints_[2];
  if (!read(0, a.count, "x", a.x) || !write(1, a.count, "y", a.y)) return false;
  a.fn = table_.unary_fn[ints_[3]];
  a.alpha = static_cast<float>(floats_[0]);
  a.beta = static_cast<float>(floats_[1]);
  return ints_[0] == ints_[1] || disjoint("y");
}

// ints: a, b, y, fn, rank, dims, a strides, b strides
bool OpBuilder::binary(kernels::BinaryArgs& a, kernels::OpFn& run) {
  if (!function(3, kernels::kBinaryCount) || !axes(4, 3)) return false;
  const auto n = static_cast<std::size_t>(ints_[4]);
  a.rank = ints_[4];
  int64_t count = 1;
  for (std::size_t i = 0; i < n; ++i) {
    a.dims[i] = ints_[5 + i];
    a.a_strides[i] = ints_[5 + n + i];
    a.b_strides[i] = ints_[5 + 2 * n + i];
    count = product({count, a.dims[i]});
  }
  if (!read(0, extent(a.rank, a.dims, a.a_strides), "a", a.a) ||
      !read(1, extent(a.rank, a.dims, a.b_strides), "b", a.b) || !write(2, count, "y", a.y)) {
    return false;
  }
  run = table_.binary[ints_[3]];
  collapse(a.rank, a.dims, a.a_strides, a.b_strides);
  // In place is fine for an operand that is read in step with y.
  if (a.b == a.y && a.rank == 1 && a.b_strides[0] == 1) reads_.erase(reads_.begin() + 1);
  if (a.a == a.y && a.rank == 1 && a.a_strides[0] == 1) reads_.erase(reads_.begin());
  return disjoint("y");
}

// ints: x, y, rank, dims, x strides, y strides
bool OpBuilder::copy(kernels::CopyArgs& a) {
  if (!axes(2, 3)) return false;
  const auto n = static_cast<std::size_t>(ints_[2]);
  a.rank = ints_[2];
  for (std::size_t i = 0; i < n; ++i) {
    a.dims[i] = ints_[3 + i];
    a.x_strides[i] = ints_[3 + n + i];
    a.y_strides[i] = ints_[3 + 2 * n + i];
  }
  if (!read(0, extent(a.rank, a.dims, a.x_strides), "x", a.x) ||
      !write(1, extent(a.rank, a.dims, a.y_strides), "y", a.y)) {
    return false;
  }
  int64_t count = 1;
  for (std::size_t i = 0; i < n; ++i) count = product({count, a.dims[i]});
  if (count > layout_.tensor_bytes / kFloat) return fail("it copies more than the block holds");
  collapse(a.rank, a.dims, a.x_strides, a.y_strides);
  return disjoint("y");
}

// ints: x, h, c, y, h_out, c_out, w, r, b, steps, input, hidden, reverse
bool OpBuilder::lstm(kernels::LstmArgs& a) {
  if (ints_.size() != 13) return fail("expected 13 integers");
  if (!sizes({9, 10, kLstmHidden})) return false;
  a.steps = ints_[9];
  a.input = ints_[10];
  a.hidden = ints_[kLstmHidden];
  if (a.hidden > kLargestHidden) return fail("more than 65536 hidden units");
  a.reverse = ints_[12] != 0;
  a.scratch = scratch();
  const int64_t size = padded(a.hidden);
  return read(0, product({a.steps, a.input}), "x", a.x) && read(1, a.hidden, "h", a.h) &&
         read(2, a.hidden, "c", a.c) && write(3, product({a.steps, a.hidden}), "y", a.y, true) &&
         write(4, a.hidden, "h_out", a.h_out, true) && write(5, a.hidden, "c_out", a.c_out, true) &&
         read(6, product({4, size, a.input}), "w", a.w) &&
         read(7, product({4, size, a.hidden}), "r", a.r) &&
         read(8, product({4, size}), "b", a.b, true) && disjoint("y, h_out or c_out");
}

// ints: x, h, y, h_out, w, r, wb, rb, steps, input, hidden, linear_before_reset, reverse
bool OpBuilder::gru(kernels::GruArgs& a) {
  if (ints_.size() != 13) return fail("expected 13 integers");
  if (!sizes({8, 9, kGruHidden})) return false;
  a.steps = ints_[8];
  a.input = ints_[9];
  a.hidden = ints_[kGruHidden];
  if (a.hidden > kLargestHidden) return fail("more than 65536 hidden units");
  a.linear_before_reset = ints_[11] != 0;
  a.reverse = ints_[12] != 0;
  a.scratch = scratch();
  const int64_t size = padded(a.hidden);
  return read(0, product({a.steps, a.input}), "x", a.x) && read(1, a.hidden, "h", a.h) &&
         write(2, product({a.steps, a.hidden}), "y", a.y, true) &&
         write(3, a.hidden, "h_out", a.h_out, true) &&
         read(4, product({3, size, a.input}), "w", a.w) &&
         read(5, product({3, size, a.hidden}), "r", a.r) &&
         read(6, product({3, size}), "wb", a.wb, true) &&
         read(7, product({3, size}), "rb", a.rb, true) && disjoint("y or h_out");
}

bool OpBuilder::build(const std::string& name, const std::vector<int64_t>& ints,
                      const std::vector<double>& floats, Op& op) {
  ints_ = ints;
  floats_ = floats;
  reads_.clear();
  writes_.clear();
  const Form* const form = std::find_if(std::begin(kForms), std::end(kForms),
                                        [&](const Form& f) { return name == f.name; });
  if (form == std::end(kForms)) return fail("this op is unknown to this version of rtinfer");
  if (ints.size() < form->ints || floats.size() != form->floats) {
    return fail("it has " + std::to_string(ints.size()) + " integers and " +
                std::to_string(floats.size()) + " floats, expected " + std::to_string(form->ints) +
                " and " + std::to_string(form->floats));
  }
  op = {};
  switch (form - kForms) {
    case 0:
      op.run = table_.gemv;
      return gemv(op.args.gemv = {});
    case 1:
      op.run = table_.unary;
      return unary(op.args.unary = {});
    case 2:
      return binary(op.args.binary = {}, op.run);
    case 3:
      op.run = table_.copy;
      return copy(op.args.copy = {});
    case 4:
      op.run = table_.lstm;
      return lstm(op.args.lstm = {});
    default:
      op.run = table_.gru;
      return gru(op.args.gru = {});
  }
}

}  // namespace rtinfer::graphs
