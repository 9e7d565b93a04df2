// Decoding and admitting observation frames. Nothing here trusts the sender.
#include "rtinfer/native/observation_frame.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>

namespace rtinfer::rt {
namespace {

static_assert(std::endian::native == std::endian::little, "values travel as little-endian floats");

std::string_view text_of(Bytes bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool all_finite(const float* values, size_t count) noexcept {
  bool finite = true;
  for (size_t i = 0; i < count; ++i) {
    finite = finite && (std::bit_cast<uint32_t>(values[i]) & 0x7f800000u) != 0x7f800000u;
  }
  return finite;
}

// The fields, in declared order: [name, dtype, binary] each.
Drop read_values(const SourceSpec& spec, MsgpackReader& reader, float* values) noexcept {
  const size_t count = reader.array();
  if (!reader.ok()) return Drop::kMalformed;
  if (count != spec.fields.size()) return Drop::kShape;
  for (const auto& [name, size] : spec.fields) {
    if (reader.array() != 3) return Drop::kMalformed;
    const Bytes sent_name = reader.text();
    const Bytes dtype = reader.text();
    const Bytes data = reader.binary();
    if (!reader.ok()) return Drop::kMalformed;
    if (text_of(sent_name) != name) return Drop::kShape;
    if (text_of(dtype) != "<f4") return Drop::kDtype;
    if (data.size() != static_cast<size_t>(size) * sizeof(float)) return Drop::kShape;
    std::memcpy(values, data.data(), data.size());
    if (!all_finite(values, static_cast<size_t>(size))) return Drop::kNonFinite;
    values += size;
  }
  return reader.at_end() ? Drop::kNone : Drop::kMalformed;
}

}  // namespace

FrameFormat FrameFormat::create(const SourceSpec& spec, const std::string& boot_id) {
  FrameFormat format;
  format.spec = spec;
  std::copy_n(boot_id.begin(), std::min(boot_id.size(), format.boot_id.size()),
              reinterpret_cast<char*>(format.boot_id.data()));
  format.max_bytes = 256 + static_cast<size_t>(spec.value_count()) * sizeof(float);
  for (const auto& field : spec.fields) format.max_bytes += field.first.size() + 32;
  return format;
}

Drop decode_observation(const FrameFormat& format, Bytes topic, Bytes payload, int64_t now,
                        SourceStamp& stamp, float* values) noexcept {
  if (text_of(topic) != format.spec.name) return Drop::kTopic;
  if (payload.size() > format.max_bytes) return Drop::kSize;
  MsgpackReader reader(payload);
  const size_t fields = reader.array();
  const uint64_t schema = reader.unsigned_integer();
  if (!reader.ok()) return Drop::kMalformed;
  if (schema != kWireSchema) return Drop::kVersion;
  if (fields != 7) return Drop::kMalformed;
  stamp.epoch = reader.unsigned_integer();
  const Bytes boot_id = reader.binary();
  const uint64_t clock_id = reader.unsigned_integer();
  stamp.seq = reader.unsigned_integer();
  stamp.stamp_ns = reader.signed_integer();
  if (!reader.ok() || boot_id.size() != format.boot_id.size()) return Drop::kMalformed;
  const Drop bad = read_values(format.spec, reader, values);
  if (bad != Drop::kNone) return bad;
  if (format.spec.stamp == 1) {
    stamp.stamp_ns = now;  // the configuration takes the time of arrival
    return Drop::kNone;
  }
  const bool ours = std::memcmp(boot_id.data(), format.boot_id.data(), boot_id.size()) == 0;
  if (!ours || clock_id != kClockMonotonic) return Drop::kForeignClock;
  if (stamp.stamp_ns > now + kFutureTolerance_ns) return Drop::kFuture;
  if (stamp.stamp_ns < now - format.spec.max_age_ns) return Drop::kStale;
  return Drop::kNone;
}

SourceOrder::Result SourceOrder::admit(const SourceStamp& stamp) noexcept {
  Result result;
  if (started_ && stamp.epoch == epoch_) {
    if (stamp.seq <= seq_) return {Drop::kOldSeq, false, false};
    result.gap = stamp.seq != seq_ + 1;
    seq_ = stamp.seq;
    return result;
  }
  const size_t known = std::min(retired_count_, kRetired);
  if (std::find(retired_.begin(), retired_.begin() + known, stamp.epoch) !=
      retired_.begin() + known) {
    return {Drop::kRetiredEpoch, false, false};
  }
  if (started_) {
    retired_[retired_count_ % kRetired] = epoch_;
    retired_count_ += 1;
    result.restarted = true;
  }
  started_ = true;
  epoch_ = stamp.epoch;
  seq_ = stamp.seq;
  return result;
}

}  // namespace rtinfer::rt
