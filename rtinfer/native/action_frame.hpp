// The action message as a template: encoded once by rtinfer.wire, its changing bytes patched here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rtinfer/native/action.hpp"
#include "rtinfer/native/actions.hpp"
#include "rtinfer/native/spec.hpp"

namespace rtinfer::rt {

class ActionFrame {
 public:
  // Throws std::invalid_argument when an offset does not fit the template.
  ActionFrame(const SinkSpec& sink, const ActionTable& table, size_t source_count);

  void patch(const Action& action) noexcept;

  const std::string& topic() const noexcept { return topic_; }
  const std::vector<unsigned char>& payload() const noexcept { return payload_; }

 private:
  struct Values {
    size_t offset;   // in the payload
    uint32_t first;  // in Action::values
    uint32_t size;
  };
  struct Source {
    size_t index;  // in Action::sources
    size_t epoch, seq, stamp_ns;
  };

  size_t at(const SinkSpec& sink, const std::string& key, size_t bytes) const;
  void put(size_t offset, uint64_t value, size_t bytes) noexcept;

  std::string topic_;
  std::vector<unsigned char> payload_;
  int64_t lease_ns_;
  size_t seq_, tick_, stamp_ns_, valid_until_ns_, origin_, health_, flags_, engine_;
  std::vector<Source> sources_;
  std::vector<Values> values_;
};

}  // namespace rtinfer::rt
