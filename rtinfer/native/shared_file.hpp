// A file of the runtime directory, mapped and pre-faulted: written by the service, read by others.
#pragma once

#include <cstddef>
#include <string>

namespace rtinfer::rt {

class SharedFile {
 public:
  // Throws std::runtime_error with a sentence.
  static SharedFile create(const std::string& path, size_t bytes);  // 0600, zeroed
  static SharedFile open_read_only(const std::string& path, size_t min_bytes);
  static SharedFile open_shared(const std::string& path, size_t min_bytes);  // to write in, too

  SharedFile(SharedFile&& other) noexcept;
  SharedFile& operator=(SharedFile&&) = delete;
  ~SharedFile();

  void* data() const noexcept { return data_; }
  size_t bytes() const noexcept { return bytes_; }

 private:
  SharedFile(void* data, size_t bytes) noexcept : data_(data), bytes_(bytes) {}
  static SharedFile open_existing(const std::string& path, size_t min_bytes, bool writable);
  void* data_;
  size_t bytes_;
};

}  // namespace rtinfer::rt
