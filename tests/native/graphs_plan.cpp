// A plan computes what its ops say, refuses every malformed one with a sentence, and keeps its
// state.
#include "graphs/plan.hpp"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <random>

#include "tests/native/check.hpp"

using rtinfer::graphs::OpSpec;
using rtinfer::graphs::Plan;
using rtinfer::graphs::PlanSpec;

namespace {

std::unique_ptr<Plan> create(const PlanSpec& spec, std::string& error) {
  error.clear();
  return Plan::create(spec, error);
}

float* floats(Plan& plan, int64_t offset) {
  return reinterpret_cast<float*>(plan.block() + offset);
}

bool mentions(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

// Weights of 256 bytes: w at 0 (2 x 16), b at 128. Arena from 256: x at 256, y at 320, state at
// 384.
struct Small {
  std::vector<float> weights = std::vector<float>(64);
  PlanSpec spec;
  Small() {
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = 0.25f * static_cast<float>(i);
    spec.weights = std::as_bytes(std::span(weights));
    spec.arena_bytes = 256;
  }
};

OpSpec gemv() {
  return {"gemv", {256, 0, 128, 320, 1, 2, 16, 0}, {0, 0}};
}

}  // namespace

TEST("one layer: y = W x + b") {
  Small small;
  small.spec.ops = {gemv()};
  std::string error;
  const auto plan = create(small.spec, error);
  CHECK(plan);
  CHECK(plan->weights_bytes() == 256 && plan->block_bytes() == 512);
  CHECK(reinterpret_cast<uintptr_t>(plan->block()) % 64 == 0);
  floats(*plan, 256)[0] = 2.0f;
  floats(*plan, 256)[1] = -1.0f;
  plan->run();
  for (int o = 0; o < 16; ++o) {
    const auto at = static_cast<std::size_t>(o);
    CHECK(floats(*plan, 320)[o] ==
          2.0f * small.weights[at] - small.weights[16 + at] + small.weights[32 + at]);
  }
}

TEST("every malformed op is refused with a sentence that names it") {
  struct Bad {
    OpSpec op;
    const char* part;
  };
  const int64_t huge = int64_t{1} << 31;
  const int64_t wraps = INT64_MAX - 63;
  const Bad all[] = {
      {{"conv", {1, 2, 3}, {}}, "unknown"},
      {{"", {}, {}}, "unknown"},
      {{"gemv", {256, 0, 128, 320, 1, 2, 16}, {0, 0}}, "expected 8"},
      {{"gemv", {256, 0, 128, 320, 1, 2, 16, 0, 0}, {0, 0}}, "expected 8"},
      {{"gemv", {256, 0, 128, 320, 1, 2, 16, 0}, {0}}, "floats"},
      {{"gemv", {256, 0, 128, 320, 1, 2, 16, 99}, {0, 0}}, "function 99"},
      {{"gemv", {256, 0, 128, 320, 1, 2, 16, -1}, {0, 0}}, "function -1"},
      {{"gemv", {256, 0, 128, 320, 0, 2, 16, 0}, {0, 0}}, "size"},
      {{"gemv", {256, 0, 128, 320, 1, -2, 16, 0}, {0, 0}}, "size"},
      {{"gemv", {256, 0, 128, 320, huge, huge, huge, 0}, {0, 0}}, "x takes"},
      {{"gemv", {-4, 0, 128, 320, 1, 2, 16, 0}, {0, 0}}, "x takes"},
      {{"gemv", {wraps, 0, 128, 320, 1, 2, 16, 0}, {0, 0}}, "x takes"},
      {{"gemv", {257, 0, 128, 320, 1, 2, 16, 0}, {0, 0}}, "x takes"},
      {{"gemv", {256, 0, 128, 128, 1, 2, 16, 0}, {0, 0}}, "y takes"},  // weights are read-only
      {{"gemv", {256, 0, 128, 452, 1, 2, 16, 0}, {0, 0}}, "y takes"},  // past the end
      {{"gemv", {256, 388, 128, 320, 1, 2, 16, 0}, {0, 0}}, "w takes"},
      {{"gemv", {256, 0, 452, 320, 1, 2, 16, 0}, {0, 0}}, "b takes"},
      {{"gemv", {256, 0, -2, 320, 1, 2, 16, 0}, {0, 0}}, "b takes"},
      {{"gemv", {256, 0, 128, 260, 1, 2, 16, 0}, {0, 0}}, "overlaps"},
      {{"unary", {256, 320, 16, 25}, {0, 0}}, "function 25"},
      {{"unary", {256, 320, 49, 1}, {0, 0}}, "y takes"},
      {{"unary", {256, 260, 16, 1}, {0, 0}}, "overlaps"},
      {{"unary", {256, 320}, {0, 0}}, "integers"},
      {{"binary", {256, 0, 320, 6, 1, 4, 1, 1}, {}}, "function 6"},
      {{"binary", {256, 0, 320, 0, 0}, {}}, "rank"},
      {{"binary", {256, 0, 320, 0, 9}, {}}, "rank"},
      {{"binary", {256, 0, 320, 0, 1, 4, 1}, {}}, "integers"},
      {{"binary", {256, 0, 320, 0, 1, 4, -1, 1}, {}}, "stride"},
      {{"binary", {256, 0, 320, 0, 2, huge, huge, 0, 0, 0, 0}, {}}, "y takes"},
      {{"binary", {256, 0, 320, 0, 2, 2, 2, huge, huge, 1, 1}, {}}, "a takes"},
      {{"copy", {256, 320, 1, 4, 22, 1}, {}}, "x takes"},
      {{"copy", {256, 320, 1, 4, 1, 22}, {}}, "y takes"},
      {{"copy", {256, 320, 2, huge, huge, 0, 0, 0, 0}, {}}, "more than"},
      {{"copy", {256, 264, 1, 4, 1, 1}, {}}, "overlaps"},
      {{"lstm", {256, 0, 0, -1, 320, 384, 0, 0, -1, 1, 1, 65537, 0}, {}}, "hidden"},
      {{"lstm", {256, 0, 0, -1, 320, 384, 0, 0, -1, 1, 1, 4, 0}, {}}, "r takes"},
      {{"lstm", {256, 0, 0, -1, 320, 384, 0, 0, -1, 1, 1, huge, 0}, {}}, "hidden"},
      {{"gru", {256, 0, -1, 320, 0, 0, -1, -1, 1, 1, 0, 0, 0}, {}}, "size"},
      {{"gru", {256, 0, -1, 320, 0, 0, -1, -1, huge, huge, 4, 0, 0}, {}}, "x takes"},
  };
  for (const Bad& bad : all) {
    Small small;
    small.spec.ops = {gemv(), bad.op};
    std::string error;
    CHECK(!create(small.spec, error));
    if (!mentions(error, bad.part)) std::printf("%s | %s\n", error.c_str(), bad.part);
    CHECK(mentions(error, bad.part) && mentions(error, "plan op 1") && mentions(error, "rebuild"));
  }
}

TEST("a corrupt state or arena is refused") {
  using State = rtinfer::graphs::StateSpec;
  const State bad[] = {{0, 384, 16},   {384, 128, 16}, {384, 452, 64}, {384, 388, 16},
                       {386, 400, 16}, {384, 400, 0},  {384, 400, -4}, {384, INT64_MAX - 3, 16}};
  for (const State& state : bad) {
    Small small;
    small.spec.state = {state};
    std::string error;
    CHECK(!create(small.spec, error) && mentions(error, "plan state 0"));
  }
  Small small;
  std::string error;
  small.spec.arena_bytes = INT64_MAX;
  CHECK(!create(small.spec, error) && mentions(error, "arena"));
  small.spec.arena_bytes = -1;
  CHECK(!create(small.spec, error) && mentions(error, "arena"));
  small.spec.arena_bytes = 256;
  small.spec.state = {{320, 384, 16}};
  small.spec.ops = {gemv()};  // writes 320 to 384
  CHECK(!create(small.spec, error) && mentions(error, "state's input"));
}

TEST("no random plan reaches outside of its block") {
  std::mt19937 random(7);
  int built = 0;
  const char* const names[] = {"gemv", "unary", "binary", "copy", "lstm", "gru"};
  for (int round = 0; round < 4000; ++round) {
    Small small;
    const char* const name = names[random() % 6];
    const auto offset = [&] { return static_cast<int64_t>(random() % 132) * 4 - 4; };
    const auto small_size = [&] { return static_cast<int64_t>(random() % 6); };
    OpSpec op{name, {}, {}};
    for (int i = 0; i < 2; ++i) op.ints.push_back(offset());
    if (op.name == "unary") op.ints.insert(op.ints.end(), {small_size() * 5, small_size() * 4});
    if (op.name == "gemv") {
      op.ints.insert(op.ints.end(), {offset(), offset(), small_size(), small_size(),
                                     small_size() * 7, static_cast<int64_t>(random() % 9)});
    }
    if (op.name == "binary") op.ints.insert(op.ints.end(), {offset(), small_size()});
    if (op.name == "binary" || op.name == "copy") {
      const int64_t rank = 1 + small_size() % 3;
      op.ints.push_back(rank);
      for (int64_t i = 0; i < 3 * rank; ++i) op.ints.push_back(small_size());
    }
    if (op.name == "lstm") {
      for (int i = 0; i < 7; ++i) op.ints.push_back(offset());
      for (int i = 0; i < 4; ++i) op.ints.push_back(1 + small_size() % 2);
    }
    if (op.name == "gru") {
      for (int i = 0; i < 6; ++i) op.ints.push_back(offset());
      for (int i = 0; i < 5; ++i) op.ints.push_back(1 + small_size() % 2);
    }
    if (op.name == "gemv" || op.name == "unary") op.floats = {0.5, 0.5};
    small.weights.resize(op.name == "lstm" || op.name == "gru" ? 128 : 64);
    small.spec.weights = std::as_bytes(std::span(small.weights));
    small.spec.ops = {op};
    std::string error;
    const auto plan = create(small.spec, error);
    if (!plan) continue;
    ++built;
    std::vector<float> before(floats(*plan, 0), floats(*plan, plan->weights_bytes()));
    plan->run();
    CHECK(std::equal(before.begin(), before.end(), floats(*plan, 0)));
    const bool has_scratch = op.name == "lstm" || op.name == "gru";
    const float* const behind = floats(*plan, plan->block_bytes() + (has_scratch ? 4096 : 0));
    CHECK(std::all_of(behind, behind + 1024, [](float v) { return v == 0.0f; }));
  }
  CHECK(built > 100);  // else nothing was tried
}

TEST("a run that is not accepted leaves no trace in the state") {
  Small small;
  small.spec.ops = {{"unary", {320, 448, 4, 7}, {1.0, 9.0}},          // clip: h' is at least 1
                    {"binary", {320, 448, 384, 0, 1, 4, 1, 1}, {}}};  // out = h + clip(h, 1, 9)
  small.spec.state = {{320, 384, 16}};
  std::string error;
  const auto plan = create(small.spec, error);
  CHECK(plan);
  plan->run();
  plan->run();
  CHECK(floats(*plan, 320)[0] == 0.0f && floats(*plan, 384)[0] == 1.0f);
  plan->accept_state();
  plan->run();
  CHECK(floats(*plan, 320)[0] == 1.0f && floats(*plan, 384)[0] == 2.0f);
  plan->accept_state();
  floats(*plan, 384)[1] = 0x1p-101f;
  plan->accept_state();
  CHECK(floats(*plan, 320)[0] == 2.0f && floats(*plan, 320)[1] == 0.0f);
  plan->reset_state();
  CHECK(floats(*plan, 320)[0] == 0.0f);
}

#if defined(__x86_64__)
TEST("the caller's float mode neither changes the result nor is changed") {
  Small small;
  small.spec.ops = {{"binary", {256, 256, 320, 2, 1, 4, 1, 1}, {}}};
  std::string error;
  const auto plan = create(small.spec, error);
  CHECK(plan);
  floats(*plan, 256)[0] = 0x1p-70f;  // its square is denormal
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8040u | 0x6000u);  // FTZ, DAZ, round toward zero
  const unsigned unusual = _mm_getcsr();
  plan->run();
  const unsigned after = _mm_getcsr();
  _mm_setcsr(before);
  CHECK(after == unusual);
  CHECK(floats(*plan, 320)[0] == 0x1p-140f);
}
#endif

TEST("RTINFER_ISA forces an instruction set or is refused") {
  Small small;
  std::string error;
  setenv("RTINFER_ISA", "scalar", 1);
  auto plan = create(small.spec, error);
  CHECK(plan && std::string(plan->isa()) == "scalar");
  setenv("RTINFER_ISA", "mmx", 1);
  CHECK(!create(small.spec, error) && mentions(error, "'mmx'") && mentions(error, "scalar"));
  unsetenv("RTINFER_ISA");
  CHECK(create(small.spec, error));
}

int main() {
  return check::run();
}
