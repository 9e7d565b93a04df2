// Reading msgpack without allocation: every read is bounds-checked, and a failure is final.
// Format: https://github.com/msgpack/msgpack/blob/master/spec.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace rtinfer::rt {

using Bytes = std::span<const std::byte>;

class MsgpackReader {
 public:
  explicit MsgpackReader(Bytes data) noexcept : at_(data.data()), left_(data.size()) {}

  bool ok() const noexcept { return ok_; }
  bool at_end() const noexcept { return ok_ && left_ == 0; }

  // Each returns a default value once reading failed; check ok() at the end.
  uint64_t unsigned_integer() noexcept;
  int64_t signed_integer() noexcept;
  size_t array() noexcept;
  Bytes binary() noexcept;
  Bytes text() noexcept;

 private:
  struct Integer {
    uint64_t bits;
    bool negative;
  };
  Integer integer() noexcept;
  uint64_t big_endian(size_t bytes) noexcept;
  uint8_t head() noexcept;
  Bytes take(uint64_t bytes) noexcept;
  void fail() noexcept {
    ok_ = false;
    left_ = 0;
  }

  const std::byte* at_;
  size_t left_;
  bool ok_ = true;
};

}  // namespace rtinfer::rt
