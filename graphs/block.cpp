// Zeroed, pre-faulted memory on huge pages: mapped with room to spare, then trimmed to alignment.
#include "graphs/block.hpp"

#include <sys/mman.h>

#include <cstring>
#include <utility>

namespace rtinfer::graphs {

namespace {
constexpr std::size_t kHugePage = std::size_t{2} << 20;
}

Block::~Block() {
  if (data_) munmap(data_, mapped_);
}

void Block::swap(Block& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(mapped_, other.mapped_);
}

bool Block::allocate(int64_t bytes) {
  const std::size_t wanted = (static_cast<std::size_t>(bytes) + kHugePage - 1) & ~(kHugePage - 1);
  const std::size_t spare = wanted + kHugePage;
  void* const raw =
      mmap(nullptr, spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) return false;
  char* const start = static_cast<char*>(raw);
  const std::size_t skip = (kHugePage - reinterpret_cast<uintptr_t>(raw) % kHugePage) % kHugePage;
  if (skip) munmap(start, skip);
  if (spare - skip > wanted) munmap(start + skip + wanted, spare - skip - wanted);
  Block fresh;
  fresh.data_ = reinterpret_cast<std::byte*>(start + skip);
  fresh.mapped_ = wanted;
  madvise(fresh.data_, wanted, MADV_HUGEPAGE);  // advice: without huge pages it is only slower
  std::memset(fresh.data_, 0, wanted);          // touches every page now, not in a tick
  swap(fresh);
  return true;
}

}  // namespace rtinfer::graphs
