// The subset of msgpack that the wire uses: integers, arrays, strings and binaries of any width.
#include "rtinfer/native/msgpack.hpp"

#include <limits>

namespace rtinfer::rt {

uint8_t MsgpackReader::head() noexcept {
  const Bytes one = take(1);
  return one.empty() ? 0xc1 : static_cast<uint8_t>(one[0]);  // 0xc1 is never valid
}

Bytes MsgpackReader::take(uint64_t bytes) noexcept {
  if (!ok_ || bytes > left_) {
    fail();
    return {};
  }
  const Bytes taken(at_, static_cast<size_t>(bytes));
  at_ += bytes;
  left_ -= static_cast<size_t>(bytes);
  return taken;
}

uint64_t MsgpackReader::big_endian(size_t bytes) noexcept {
  uint64_t value = 0;
  for (const std::byte b : take(bytes)) value = value << 8 | static_cast<uint8_t>(b);
  return value;
}

MsgpackReader::Integer MsgpackReader::integer() noexcept {
  const uint8_t h = head();
  if (h <= 0x7f) return {h, false};
  if (h >= 0xe0) return {static_cast<uint64_t>(static_cast<int8_t>(h)), true};
  if (h >= 0xcc && h <= 0xcf) return {big_endian(size_t{1} << (h - 0xcc)), false};
  if (h >= 0xd0 && h <= 0xd3) {
    const size_t bytes = size_t{1} << (h - 0xd0);
    const unsigned shift = static_cast<unsigned>(64 - 8 * bytes);
    const auto value = static_cast<int64_t>(big_endian(bytes) << shift) >> shift;
    return {static_cast<uint64_t>(value), value < 0};
  }
  fail();
  return {0, false};
}

uint64_t MsgpackReader::unsigned_integer() noexcept {
  const Integer value = integer();
  if (value.negative) fail();
  return ok_ ? value.bits : 0;
}

int64_t MsgpackReader::signed_integer() noexcept {
  const Integer value = integer();
  if (!value.negative && value.bits > uint64_t{std::numeric_limits<int64_t>::max()}) fail();
  return ok_ ? static_cast<int64_t>(value.bits) : 0;
}

size_t MsgpackReader::array() noexcept {
  const uint8_t h = head();
  uint64_t count = 0;
  if ((h & 0xf0) == 0x90) {
    count = h & 0x0f;
  } else if (h == 0xdc) {
    count = big_endian(2);
  } else if (h == 0xdd) {
    count = big_endian(4);
  } else {
    fail();
  }
  if (count > left_) fail();  // each element takes a byte at least
  return ok_ ? static_cast<size_t>(count) : 0;
}

Bytes MsgpackReader::binary() noexcept {
  const uint8_t h = head();
  if (h < 0xc4 || h > 0xc6) {
    fail();
    return {};
  }
  return take(big_endian(size_t{1} << (h - 0xc4)));
}

Bytes MsgpackReader::text() noexcept {
  const uint8_t h = head();
  if ((h & 0xe0) == 0xa0) return take(h & 0x1f);
  if (h < 0xd9 || h > 0xdb) {
    fail();
    return {};
  }
  return take(big_endian(size_t{1} << (h - 0xd9)));
}

}  // namespace rtinfer::rt
