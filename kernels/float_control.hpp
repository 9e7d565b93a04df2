// Round to nearest, denormals kept: sets the CPU's float mode for a scope and restores the
// caller's.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace rtinfer::kernels {

// Another library may leave flush-to-zero set in a thread, which x86 and Arm flush differently.
class FloatControl {
 public:
  FloatControl() noexcept : saved_(read()) {
    if ((saved_ & kModeBits) != kMode) write((saved_ & ~kModeBits) | kMode);
  }
  ~FloatControl() {
    if ((saved_ & kModeBits) != kMode) write(saved_);
  }
  FloatControl(const FloatControl&) = delete;
  FloatControl& operator=(const FloatControl&) = delete;

#if defined(__x86_64__)
  using Word = uint32_t;
  static Word read() noexcept { return _mm_getcsr(); }
  static void write(Word word) noexcept { _mm_setcsr(word); }

 private:
  static constexpr Word kModeBits = 0xffc0;  // FTZ, rounding, exception masks, DAZ
  static constexpr Word kMode = 0x1f80;      // all exceptions masked
#elif defined(__aarch64__)
  using Word = uint64_t;
  static Word read() noexcept {
    Word word;
    asm volatile("mrs %0, fpcr" : "=r"(word));
    return word;
  }
  static void write(Word word) noexcept { asm volatile("msr fpcr, %0" ::"r"(word)); }

 private:
  static constexpr Word kModeBits = 0x07f79f07;  // AHP, DN, FZ, RMode, FZ16, traps, NEP, AH, FIZ
  static constexpr Word kMode = 0;
#endif
  Word saved_;
};

}  // namespace rtinfer::kernels
