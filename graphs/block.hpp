// Zeroed, pre-faulted memory on huge pages where the kernel grants them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rtinfer::graphs {

class Block {
 public:
  Block() = default;
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  Block(Block&& other) noexcept { swap(other); }
  Block& operator=(Block&& other) noexcept {
    swap(other);
    return *this;
  }

  // False where the memory is not to be had. Aligned to 2 MiB.
  bool allocate(int64_t bytes);
  std::byte* data() const noexcept { return data_; }

 private:
  bool map(std::size_t bytes);
  void swap(Block& other) noexcept;

  std::byte* data_ = nullptr;
  std::size_t mapped_ = 0;
};

}  // namespace rtinfer::graphs
