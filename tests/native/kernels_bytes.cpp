// Every instruction set of this CPU gives the bytes of the scalar reference, for every kernel.
#include <string>

#include "tests/native/check.hpp"
#include "tests/native/kernels_inputs.hpp"

namespace k = rtinfer::kernels;
using inputs::same_bytes;
using inputs::Source;

namespace {

const k::Table& reference() {
  return *k::find_table("reference");
}

constexpr float kGuard = 12345.0f;  // lies where a kernel must not write

bool canonical(const std::vector<float>& y) {
  for (const float v : y) {
    if (v != v && __builtin_bit_cast(uint32_t, v) != 0x7fc00000u) return false;
  }
  return true;
}

}  // namespace

TEST("unary functions: edges, random bits, every tail length, in place") {
  Source source(1);
  std::vector<float> all = inputs::edges();
  for (int i = 0; i < 20000; ++i) all.push_back(source.next(2));
  for (int fn = 0; fn < k::kUnaryCount; ++fn) {
    for (std::size_t count = 1; count <= all.size(); count += count < 40 ? 1 : 6655) {
      std::vector<float> want(count + 1, kGuard);
      reference().unary_fn[fn](all.data(), want.data(), static_cast<int64_t>(count), 0.7f, 1.3f);
      CHECK(canonical(want) && want.back() == kGuard);
      inputs::each_isa([&](const k::Table& table) {
        std::vector<float> got(all.begin(), all.begin() + static_cast<long>(count));
        got.push_back(kGuard);
        table.unary_fn[fn](got.data(), got.data(), static_cast<int64_t>(count), 0.7f, 1.3f);
        if (!same_bytes(got, want)) std::printf("%s, %s\n", table.isa, k::kUnaryNames[fn]);
        CHECK(same_bytes(got, want));
      });
    }
  }
}

TEST("binary functions: broadcast, strided and plain operands") {
  struct Case {
    int64_t rank, dims[3], a[3], b[3];
  };
  const Case cases[] = {{1, {1}, {1}, {1}},
                        {1, {37}, {1}, {1}},
                        {1, {33}, {1}, {0}},
                        {1, {16}, {0}, {2}},
                        {2, {3, 21}, {21, 1}, {0, 1}},
                        {3, {2, 3, 5}, {15, 1, 3}, {0, 5, 1}},
                        {3, {4, 1, 17}, {17, 17, 1}, {1, 0, 0}}};
  Source source(2);
  for (const Case& c : cases) {
    int64_t count = 1;
    for (int64_t i = 0; i < c.rank; ++i) count *= c.dims[i];
    for (int fn = 0; fn < k::kBinaryCount; ++fn) {
      const auto a = source.values(200, 4), b = source.values(200, 4);
      const auto run = [&](const k::Table& table) {
        std::vector<float> y(static_cast<std::size_t>(count) + 1, kGuard);
        k::OpArgs args{.binary = {a.data(), b.data(), y.data(), c.rank, {}, {}, {}}};
        for (int64_t i = 0; i < c.rank; ++i) {
          args.binary.dims[i] = c.dims[i];
          args.binary.a_strides[i] = c.a[i];
          args.binary.b_strides[i] = c.b[i];
        }
        table.binary[fn](args);
        return y;
      };
      const auto want = run(reference());
      CHECK(canonical(want) && want.back() == kGuard);
      inputs::each_isa([&](const k::Table& table) { CHECK(same_bytes(run(table), want)); });
    }
  }
}

TEST("a minimum or maximum with a NaN is a NaN") {
  for (const auto fn : {k::Binary::kMin, k::Binary::kMax}) {
    const float a[] = {1.0f, __builtin_nanf(""), 0.0f, -0.0f};
    const float b[] = {__builtin_nanf(""), 1.0f, -0.0f, 0.0f};
    float y[4];
    k::OpArgs args{.binary = {a, b, y, 1, {4}, {1}, {1}}};
    k::best_table().binary[static_cast<int>(fn)](args);
    CHECK(y[0] != y[0] && y[1] != y[1]);
    CHECK(__builtin_signbit(y[2]) && !__builtin_signbit(y[3]));  // equal: the second operand
  }
}

TEST("copies follow strides and move bits") {
  Source source(3);
  const auto x = source.values(64, 3);
  inputs::each_isa([&](const k::Table& table) {
    std::vector<float> y(64, kGuard), want(64, kGuard);
    k::OpArgs args{.copy = {x.data(), y.data(), 2, {3, 5}, {1, 3}, {10, 2}}};  // a transpose
    table.copy(args);
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t j = 0; j < 5; ++j) want[i * 10 + j * 2] = x[i + 3 * j];
    }
    CHECK(same_bytes(y, want));
  });
}

TEST("matrix-vector products: wide and narrow, any k, with and without bias and activation") {
  Source source(4);
  for (const uint32_t rarity : {0u, 50u}) {
    for (const int64_t n : {1, 12, 16, 17, 33, 63, 64, 65, 100, 128, 200}) {
      for (const int64_t depth : {1, 2, 3, 4, 5, 7, 48, 131}) {
        const int64_t rows = depth % 2 + 1;
        const auto x = source.values(rows * depth, rarity);
        const auto w = source.values(k::padded(n) * depth, rarity * 50);
        const auto b = source.values(k::padded(n), rarity);
        const bool biased = depth != 3;
        const auto run = [&](const k::Table& table) {
          std::vector<float> y(static_cast<std::size_t>(rows * n) + 1, kGuard);
          const k::UnaryFn act =
              depth % 3 ? table.unary_fn[static_cast<int>(k::Unary::kSilu)] : nullptr;
          table.gemv({.gemv = {x.data(), w.data(), biased ? b.data() : nullptr, y.data(), rows,
                               depth, n, act, 0.0f, 0.0f}});
          return y;
        };
        const auto want = run(reference());
        CHECK(canonical(want) && want.back() == kGuard);
        inputs::each_isa([&](const k::Table& table) {
          const auto got = run(table);
          if (!same_bytes(got, want))
            std::printf("%s n %ld k %ld\n", table.isa, long(n), long(depth));
          CHECK(same_bytes(got, want));
        });
      }
    }
  }
}

TEST("a product's order is the written one: one chain from 64 outputs on, four below") {
  Source source(5);
  for (const int64_t n : {16, 64}) {
    const int64_t depth = 11;
    const auto x = source.values(depth, 0), w = source.values(n * depth, 0),
               b = source.values(n, 0);
    std::vector<float> y(static_cast<std::size_t>(n));
    k::best_table().gemv(
        {.gemv = {x.data(), w.data(), b.data(), y.data(), 1, depth, n, nullptr, 0, 0}});
    for (int64_t o = 0; o < n; ++o) {
      float chain[4] = {b[static_cast<std::size_t>(o)], 0, 0, 0};
      for (int64_t i = 0; i < depth; ++i) {
        float& c = chain[n >= 64 ? 0 : i % 4];
        const int64_t at = (o / 16 * depth + i) * 16 + o % 16;
        c = __builtin_fmaf(x[static_cast<std::size_t>(i)], w[static_cast<std::size_t>(at)], c);
      }
      const float want = n >= 64 ? chain[0] : (chain[0] + chain[1]) + (chain[2] + chain[3]);
      CHECK(y[static_cast<std::size_t>(o)] == want);
    }
  }
}

TEST("LSTM and GRU: hidden sizes off the panel, several steps, both directions") {
  Source source(6);
  for (const uint32_t rarity : {0u, 40u}) {
    for (const int64_t hidden : {1, 5, 16, 20, 64, 70}) {
      for (const int64_t steps : {1, 3}) {
        for (const int option : {0, 1, 2, 3}) {
          const int64_t input = 7 + option, size = k::padded(hidden);
          const auto x = source.values(steps * input, rarity), h = source.values(hidden, rarity),
                     c = source.values(hidden, rarity), w = source.values(4 * size * input, 0),
                     r = source.values(4 * size * hidden, 0), b = source.values(4 * size, rarity),
                     b2 = source.values(4 * size, rarity);
          const auto run = [&](const k::Table& table) {
            const auto cells = static_cast<std::size_t>(hidden);
            std::vector<float> y(2 * cells * static_cast<std::size_t>(steps) + 4 * cells + 1,
                                 kGuard);
            std::vector<float> scratch(static_cast<std::size_t>(k::gru_scratch(hidden)));
            float* const second = y.data() + steps * hidden;
            float* const last = y.data() + 2 * steps * hidden;
            table.lstm({.lstm = {x.data(), h.data(), c.data(), w.data(), r.data(),
                                 option == 1 ? nullptr : b.data(), y.data(), last, last + hidden,
                                 scratch.data(), steps, input, hidden, option >= 2}});
            table.gru({.gru = {x.data(), h.data(), w.data(), r.data(), b.data(),
                               option == 1 ? nullptr : b2.data(), second,
                               option == 3 ? nullptr : last + 2 * hidden, scratch.data(), steps,
                               input, hidden, option % 2 == 0, option >= 2}});
            return y;
          };
          const auto want = run(reference());
          CHECK(canonical(want) && want.back() == kGuard);
          inputs::each_isa([&](const k::Table& table) { CHECK(same_bytes(run(table), want)); });
        }
      }
    }
  }
}

TEST("state below 2^-100 snaps to plus zero; the rest, NaN too, is kept") {
  inputs::each_isa([](const k::Table& table) {
    const float x[] = {0x1p-100f, -0x1p-100f, 0x1.fffffep-101f,  -0x1p-149f,
                       -0.0f,     3.0f,       __builtin_nanf("")};
    float y[7];
    table.snap(x, y, 7);
    CHECK(y[0] == x[0] && y[1] == x[1] && y[5] == 3.0f && y[6] != y[6]);
    for (const int i : {2, 3, 4}) CHECK(y[i] == 0.0f && !__builtin_signbit(y[i]));
  });
}

int main() {
  return check::run();
}
