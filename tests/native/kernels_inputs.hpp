// Inputs that kernels meet on bad days: edges of float32, and random bits of every class.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/table.hpp"

namespace inputs {

inline float from_word(uint32_t word) {
  return __builtin_bit_cast(float, word);
}

inline const std::vector<float>& edges() {
  static const std::vector<float> all = {0.0f,
                                         -0.0f,
                                         1.0f,
                                         -1.0f,
                                         0.5f,
                                         -0.5f,
                                         2.5f,
                                         -2.5f,
                                         3.5f,
                                         0x1p-149f,
                                         -0x1p-149f,
                                         0x1p-126f,
                                         -0x1p-126f,
                                         0x1.fffffcp-127f,
                                         0x1p-100f,
                                         0x1p-101f,
                                         0x1.fffffep127f,
                                         -0x1.fffffep127f,
                                         88.7f,
                                         88.8f,
                                         -87.4f,
                                         -103.9f,
                                         -104.1f,
                                         0.625f,
                                         0x1.3ffffep-1f,
                                         4.0f,
                                         0.9999999f,
                                         65535.9f,
                                         65536.0f,
                                         -65537.0f,
                                         1e10f,
                                         -3e38f,
                                         8388607.5f,
                                         4194304.5f,
                                         __builtin_inff(),
                                         -__builtin_inff(),
                                         __builtin_nanf(""),
                                         from_word(0xffc00000u),
                                         from_word(0x7f800001u),
                                         from_word(0xffabcdefu)};
  return all;
}

class Source {
 public:
  explicit Source(uint32_t seed) : random_(seed) {}

  // Mostly ordinary values; one in `rarity` is an edge or random bits (0: never).
  float next(uint32_t rarity) {
    if (rarity && random_() % rarity == 0) {
      const uint32_t word = static_cast<uint32_t>(random_());
      return word % 2 ? edges()[word / 2 % edges().size()] : from_word(word);
    }
    return normal_(random_);
  }
  std::vector<float> values(int64_t count, uint32_t rarity) {
    std::vector<float> all(static_cast<std::size_t>(count));
    for (float& x : all) x = next(rarity);
    return all;
  }

 private:
  std::mt19937 random_;
  std::normal_distribution<float> normal_;
};

inline bool same_bytes(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Calls body with each table of this CPU.
template <class Body>
void each_isa(Body body) {
  for (const char* const* isa = rtinfer::kernels::available_isas(); *isa; ++isa) {
    body(*rtinfer::kernels::find_table(*isa));
  }
}

}  // namespace inputs
