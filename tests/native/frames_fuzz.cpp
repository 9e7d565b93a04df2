// A stand-alone fuzz test of the observation decoder: mutations of a valid frame and plain noise.
// Whatever comes, nothing is read out of bounds (ASan), and what is taken is valid to the last
// byte.
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "rtinfer/native/observation_frame.hpp"
#include "tests/native/check.hpp"

using namespace rtinfer::rt;

namespace {

constexpr int64_t kNow = 1'000'000'000;

SourceSpec source() {
  SourceSpec spec;
  spec.name = "body";
  spec.fields = {{"quat", 4}, {"gyro", 3}};
  spec.max_age_ns = 25'000'000;
  return spec;
}

void put(std::string& out, std::initializer_list<int> bytes) {
  for (const int b : bytes) out += static_cast<char>(b);
}

void put_u64(std::string& out, uint64_t value) {
  put(out, {0xcf});
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
}

void put_field(std::string& out, const std::string& name, int count, float value) {
  put(out, {0x93, 0xa0 + static_cast<int>(name.size())});
  out += name;
  put(out, {0xa3});
  out += "<f4";
  put(out, {0xc4, count * 4});
  for (int i = 0; i < count; ++i) out.append(reinterpret_cast<const char*>(&value), 4);
}

std::string valid_frame(float value = 0.5f) {
  std::string out;
  put(out, {0x97, 1});
  put_u64(out, 77);  // epoch
  put(out, {0xc4, 16});
  out += std::string(16, 'b');
  put(out, {1});
  put_u64(out, 9);  // seq
  put_u64(out, static_cast<uint64_t>(kNow - 1000));
  put(out, {0x92});
  put_field(out, "quat", 4, value);
  put_field(out, "gyro", 3, value);
  return out;
}

struct Decoded {
  Drop drop;
  SourceStamp stamp{};
  float values[7]{};
};

Decoded decode(const std::string& topic, const std::string& payload) {
  static const FrameFormat format = FrameFormat::create(source(), std::string(16, 'b'));
  // Exact-size heap copies: ASan sees a read one byte past the end.
  const std::vector<std::byte> t(reinterpret_cast<const std::byte*>(topic.data()),
                                 reinterpret_cast<const std::byte*>(topic.data()) + topic.size());
  const std::vector<std::byte> p(
      reinterpret_cast<const std::byte*>(payload.data()),
      reinterpret_cast<const std::byte*>(payload.data()) + payload.size());
  Decoded out{};
  out.drop = decode_observation(format, t, p, kNow, out.stamp, out.values);
  return out;
}

bool sound(const Decoded& decoded) {
  for (const float value : decoded.values) {
    if (!std::isfinite(value)) return false;
  }
  return decoded.stamp.stamp_ns <= kNow + kFutureTolerance_ns &&
         decoded.stamp.stamp_ns >= kNow - source().max_age_ns;
}

}  // namespace

TEST("a valid frame is taken as it is") {
  const Decoded decoded = decode("body", valid_frame());
  CHECK(decoded.drop == Drop::kNone);
  CHECK(decoded.stamp.epoch == 77 && decoded.stamp.seq == 9);
  CHECK(decoded.values[0] == 0.5f && decoded.values[6] == 0.5f);
}

TEST("each kind of bad frame has its own reason") {
  CHECK(decode("head", valid_frame()).drop == Drop::kTopic);
  CHECK(decode("body", "").drop == Drop::kMalformed);
  CHECK(decode("body", std::string(5000, '\x01')).drop == Drop::kSize);
  CHECK(decode("body", valid_frame(NAN)).drop == Drop::kNonFinite);
  CHECK(decode("body", valid_frame(INFINITY)).drop == Drop::kNonFinite);
  CHECK(decode("body", valid_frame() + "x").drop == Drop::kMalformed);
  std::string frame = valid_frame();
  frame[1] = 2;
  CHECK(decode("body", frame).drop == Drop::kVersion);
  frame = valid_frame();
  frame.replace(frame.find("<f4"), 3, "<f8");
  CHECK(decode("body", frame).drop == Drop::kDtype);
  frame = valid_frame();
  frame.replace(frame.find("quat"), 4, "taqu");
  CHECK(decode("body", frame).drop == Drop::kShape);
  frame = valid_frame();
  frame.replace(frame.find("bbbb"), 4, "aaaa");
  CHECK(decode("body", frame).drop == Drop::kForeignClock);
}

TEST("every truncation of a valid frame is refused") {
  const std::string frame = valid_frame();
  for (size_t length = 0; length < frame.size(); ++length) {
    CHECK(decode("body", frame.substr(0, length)).drop != Drop::kNone);
  }
}

TEST("a million mutated and random frames: no crash, and what is taken is sound") {
  std::mt19937 random(7);
  const auto below = [&](size_t n) { return static_cast<size_t>(random()) % n; };
  size_t taken = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    std::string frame = valid_frame();
    const size_t edits = 1 + below(4);
    for (size_t e = 0; e < edits && !frame.empty(); ++e) {
      switch (below(4)) {
        case 0:
          frame[below(frame.size())] = static_cast<char>(random());
          break;
        case 1:
          frame.erase(below(frame.size()), 1 + below(8));
          break;
        case 2:
          frame.insert(below(frame.size()), std::string(1 + below(8), static_cast<char>(random())));
          break;
        default:
          for (size_t b = 0; b < frame.size() && below(3) != 0; ++b) {
            frame[b] = static_cast<char>(random());
          }
      }
    }
    const Decoded decoded = decode("body", frame);
    if (decoded.drop != Drop::kNone) continue;
    CHECK(sound(decoded));
    ++taken;
  }
  CHECK(taken > 0);  // an edit of a value leaves a valid frame: the fuzzer reaches the far end
}

TEST("sequence and epoch: old, repeated and retired ones are never taken again") {
  SourceOrder order;
  CHECK(order.admit({1, 5, 0}).drop == Drop::kNone);
  CHECK(order.admit({1, 5, 0}).drop == Drop::kOldSeq);
  CHECK(order.admit({1, 4, 0}).drop == Drop::kOldSeq);
  CHECK(order.admit({1, 8, 0}).gap);
  const SourceOrder::Result restart = order.admit({2, 1, 0});
  CHECK(restart.drop == Drop::kNone && restart.restarted);
  CHECK(order.admit({1, 9, 0}).drop == Drop::kRetiredEpoch);
  CHECK(order.admit({2, 2, 0}).drop == Drop::kNone);
}

int main() {
  return check::run();
}
