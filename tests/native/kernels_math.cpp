// How far the kernels' own exp, tanh, erf and their kin are from the truth, in units in the last
// place.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "kernels/table.hpp"
#include "tests/native/check.hpp"
#include "tests/native/kernels_inputs.hpp"

namespace k = rtinfer::kernels;

namespace {

using Exact = long double;

struct Function {
  k::Unary code;
  Exact (*truth)(Exact);
  double bound_ulp;  // as docs/numerics.md says
  float lowest = -__builtin_inff();
};

const Function kFunctions[] = {
    {k::Unary::kExp, [](Exact x) { return std::exp(x); }, 1.5},
    {k::Unary::kLog, [](Exact x) { return std::log(x); }, 1.0},
    {k::Unary::kTanh, [](Exact x) { return std::tanh(x); }, 2.0},
    {k::Unary::kSigmoid,
     [](Exact x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }, 2.5},
    {k::Unary::kSilu,
     [](Exact x) { return x < 0 ? x * (std::exp(x) / (1 + std::exp(x))) : x / (1 + std::exp(-x)); },
     3.5, -87.0f},
    {k::Unary::kElu, [](Exact x) { return x < 0 ? std::expm1(x) : x; }, 2.0},
    {k::Unary::kSoftplus,
     [](Exact x) { return std::fmax(x, Exact{0}) + std::log1p(std::exp(-std::fabs(x))); }, 3.0},
    {k::Unary::kErf, [](Exact x) { return std::erf(x); }, 1.5},
    {k::Unary::kSin, [](Exact x) { return std::sin(x); }, 2.0},
    {k::Unary::kCos, [](Exact x) { return std::cos(x); }, 2.0},
    {k::Unary::kSqrt, [](Exact x) { return std::sqrt(x); }, 0.5},
    {k::Unary::kReciprocal, [](Exact x) { return 1 / x; }, 0.5},
};

// Distance in units of the spacing of float32 at the exact value.
double ulps(float got, Exact exact) {
  const auto rounded = static_cast<float>(exact);
  if (got == rounded || (std::isnan(got) && std::isnan(rounded))) {
    if (!std::isfinite(rounded) || exact == 0) return 0;
  } else if (!std::isfinite(got)) {
    // Infinity counts as the next float after the largest.
    if (std::isnan(got) || std::isinf(rounded)) return HUGE_VAL;
    return static_cast<double>((0x1p128L - std::fabs(exact)) / 0x1p104L);
  } else if (!std::isfinite(rounded)) {
    return std::isinf(rounded)
               ? static_cast<double>((std::fabs(exact) - std::fabs(Exact{got})) / 0x1p104L)
               : HUGE_VAL;
  }
  int exponent;
  std::frexp(exact, &exponent);
  const Exact unit = std::ldexp(Exact{1}, std::max(exponent - 24, -149));
  return static_cast<double>(std::fabs(Exact{got} - exact) / unit);
}

uint32_t step = 20011;  // of the bit pattern from one input to the next

}  // namespace

TEST("every function stays within its documented error over the whole of float32") {
  for (const Function& f : kFunctions) {
    double worst = 0;
    float at = 0;
    std::vector<float> x, y;
    for (uint64_t word = 0; word < (uint64_t{1} << 32); word += step) {
      x.push_back(inputs::from_word(static_cast<uint32_t>(word)));
    }
    for (const float edge : inputs::edges()) x.push_back(edge);
    // Bit patterns favour tiny and huge values: look closely where policies live.
    for (float v = -20.0f; v < 20.0f; v += 1e-8f * static_cast<float>(step)) x.push_back(v);
    y.resize(x.size());
    k::best_table().unary_fn[static_cast<int>(f.code)](x.data(), y.data(),
                                                       static_cast<int64_t>(x.size()), 1.0f, 0.0f);
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (x[i] < f.lowest) continue;
      const double error = ulps(y[i], f.truth(Exact{x[i]}));
      if (error > worst) {
        worst = error;
        at = x[i];
      }
    }
    std::printf("  %-10s %.3f ulp at %a\n", k::kUnaryNames[static_cast<int>(f.code)], worst,
                static_cast<double>(at));
    CHECK(worst <= f.bound_ulp);
  }
}

TEST("gelu is within 4 units of x times its factor") {
  for (float v = -12.0f; v < 12.0f; v += 0.00037f) {
    float y;
    k::best_table().unary_fn[static_cast<int>(k::Unary::kGelu)](&v, &y, 1, 0.0f, 0.0f);
    const Exact exact = Exact{v} * 0.5L * std::erfc(-Exact{v} / std::sqrt(2.0L));
    CHECK(std::fabs(Exact{y} - exact) <= 4 * 0x1p-24L * std::fabs(Exact{v}));
  }
}

TEST("rounding functions give IEEE's integers") {
  for (const float v : inputs::edges()) {
    const auto one = [&](k::Unary fn) {
      float y;
      k::best_table().unary_fn[static_cast<int>(fn)](&v, &y, 1, 0.0f, 0.0f);
      return y;
    };
    if (std::isnan(v)) continue;
    CHECK(one(k::Unary::kFloor) == std::floor(v));
    CHECK(one(k::Unary::kCeil) == std::ceil(v));
    CHECK(one(k::Unary::kRound) == std::nearbyint(v));
    CHECK(one(k::Unary::kSign) == static_cast<float>((v > 0) - (v < 0)));
  }
}

// A smaller step (as the argument) looks at more inputs: 1 looks at all 2^32.
int main(int argc, char** argv) {
  if (argc > 1) step = static_cast<uint32_t>(std::atoi(argv[1]));
  return check::run();
}
