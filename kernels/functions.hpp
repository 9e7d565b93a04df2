// Codes of the elementwise functions that a plan names: the same numbers stand in plan.json.
#pragma once

#include <cstdint>

namespace rtinfer::kernels {

enum class Unary : int64_t {
  kIdentity,
  kRelu,
  kLeakyRelu,  // alpha: slope below zero
  kElu,        // alpha * (exp(x) - 1) below zero
  kTanh,
  kSigmoid,
  kSoftplus,
  kClip,  // alpha: minimum, beta: maximum
  kSilu,  // x * sigmoid(x)
  kNeg,
  kAbs,
  kExp,
  kLog,
  kSqrt,
  kReciprocal,
  kSelu,         // beta * elu(x), alpha as in elu
  kHardSigmoid,  // clip(alpha * x + beta, 0, 1)
  kErf,
  kGelu,  // x/2 * (1 + erf(x / sqrt 2))
  kFloor,
  kCeil,
  kRound,  // half to even
  kSign,
  kSin,
  kCos,
  kCount
};

enum class Binary : int64_t { kAdd, kSub, kMul, kDiv, kMin, kMax, kCount };

inline constexpr int kUnaryCount = static_cast<int>(Unary::kCount);
inline constexpr int kBinaryCount = static_cast<int>(Binary::kCount);

inline constexpr const char* kUnaryNames[kUnaryCount] = {
    "identity",   "relu", "leaky_relu",   "elu", "tanh", "sigmoid", "softplus",
    "clip",       "silu", "neg",          "abs", "exp",  "log",     "sqrt",
    "reciprocal", "selu", "hard_sigmoid", "erf", "gelu", "floor",   "ceil",
    "round",      "sign", "sin",          "cos"};

inline constexpr const char* kBinaryNames[kBinaryCount] = {"add", "sub", "mul",
                                                           "div", "min", "max"};

}  // namespace rtinfer::kernels
