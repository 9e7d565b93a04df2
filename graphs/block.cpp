// Zeroed, pre-faulted memory on huge pages; a block of a cache's size is the quickest of several.
#include "graphs/block.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <utility>

namespace rtinfer::graphs {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kLine = 64;
// Weights of this size live in a second-level cache. It is indexed by physical address, and a
// virtual machine's huge page need not be one of the host's: where its pieces collide, every run
// waits for the third level, up to 8 % longer for as long as the process lives. So several blocks
// are tried.
constexpr int64_t kFewest = 256 << 10, kMost = 2 << 20;
constexpr int kCandidates = 16, kSweeps = 30;

// Shortest time to read one word of each line.
Clock::duration sweep_time(const std::byte* data, std::size_t bytes) {
  auto shortest = Clock::duration::max();
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    const auto start = Clock::now();
    uint64_t sum = 0;
    for (std::size_t at = 0; at < bytes; at += kLine) {
      uint64_t word;
      std::memcpy(&word, data + at, sizeof word);
      sum += word;
    }
    asm volatile("" ::"r"(sum));  // the reads are wanted
    shortest = std::min(shortest, Clock::now() - start);
  }
  return shortest;
}

}  // namespace

Block::~Block() {
  if (data_) munmap(data_, mapped_);
}

void Block::swap(Block& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(mapped_, other.mapped_);
}

// Mapped with room to spare, then trimmed to alignment.
bool Block::map(std::size_t bytes) {
  const std::size_t wanted = (bytes + kHugePage - 1) & ~(kHugePage - 1);
  const std::size_t spare = wanted + kHugePage;
  void* const raw =
      mmap(nullptr, spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) return false;
  char* const start = static_cast<char*>(raw);
  const std::size_t skip = (kHugePage - reinterpret_cast<uintptr_t>(raw) % kHugePage) % kHugePage;
  if (skip) munmap(start, skip);
  if (spare - skip > wanted) munmap(start + skip + wanted, spare - skip - wanted);
  data_ = reinterpret_cast<std::byte*>(start + skip);
  mapped_ = wanted;
  madvise(data_, wanted, MADV_HUGEPAGE);  // advice: without huge pages it is only slower
  std::memset(data_, 0, wanted);          // touches every page now, not in a tick
  return true;
}

bool Block::allocate(int64_t bytes) {
  const auto size = static_cast<std::size_t>(bytes);
  Block best;
  if (!best.map(size)) return false;
  if (bytes >= kFewest && bytes <= kMost) {
    Block others[kCandidates - 1];  // all at once: a freed one would be handed out again
    auto shortest = sweep_time(best.data_, size);
    for (Block& other : others) {
      if (!other.map(size)) break;
      const auto time = sweep_time(other.data_, size);
      if (time >= shortest) continue;
      shortest = time;
      best.swap(other);
    }
  }
  swap(best);
  return true;
}

}  // namespace rtinfer::graphs
