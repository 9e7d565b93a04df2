// Picks a table of kernels by what the CPU and the operating system support.
#include "kernels/table.hpp"

namespace rtinfer::kernels {

extern const Table kTableScalar;
extern const Table kTableReference;
#if defined(__x86_64__)
extern const Table kTableAvx2;
extern const Table kTableAvx512;
#elif defined(__aarch64__)
extern const Table kTableNeon;
#endif

namespace {

bool same(const char* a, const char* b) {
  return __builtin_strcmp(a, b) == 0;
}

#if defined(__x86_64__)
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#endif

}  // namespace

const char* const* available_isas() noexcept {
#if defined(__x86_64__)
  static constexpr const char* kAll[] = {"avx512", "avx2", "scalar", nullptr};
  return has_avx512() ? kAll : has_avx2() ? kAll + 1 : kAll + 2;
#elif defined(__aarch64__)
  static constexpr const char* kAll[] = {"neon", "scalar", nullptr};
  return kAll;
#else
  static constexpr const char* kAll[] = {"scalar", nullptr};
  return kAll;
#endif
}

const Table* find_table(const char* isa) noexcept {
  if (same(isa, "reference")) return &kTableReference;
  bool available = false;
  for (const char* const* name = available_isas(); *name; ++name) available |= same(isa, *name);
  if (!available) return nullptr;
#if defined(__x86_64__)
  if (same(isa, "avx512")) return &kTableAvx512;
  if (same(isa, "avx2")) return &kTableAvx2;
#elif defined(__aarch64__)
  if (same(isa, "neon")) return &kTableNeon;
#endif
  return &kTableScalar;
}

const Table& best_table() noexcept {
  return *find_table(available_isas()[0]);
}

}  // namespace rtinfer::kernels
