// The floor of an engine: the time that one core needs to read as many bytes as its weights have.
//
// Writes one little-endian int64 a pass (ns). Built for the machine that it runs on.
#include <sys/mman.h>

#include <fstream>
#include <vector>

#include "bench/native/program.hpp"

namespace {

using Wide = float __attribute__((vector_size(64)));

// Eight streams and eight sums, so that neither latency nor one prefetcher is the limit.
float read_all(const Wide* from, size_t per_stream) {
  Wide sums[8] = {};
  for (size_t i = 0; i < per_stream; ++i) {
    for (size_t s = 0; s < 8; ++s) sums[s] += from[s * per_stream + i];
  }
  Wide total = sums[0];
  for (size_t s = 1; s < 8; ++s) total += sums[s];
  return total[0];
}

}  // namespace

int main(int count, char** words) {
  using namespace bench;
  const Arguments arguments(count, words);
  const auto bytes = static_cast<size_t>(arguments.number("bytes"));
  const int64_t passes = arguments.number("count");
  const size_t per_stream = bytes / (8 * sizeof(Wide));
  constexpr size_t kHugePage = size_t{2} << 20;
  const size_t mapped = (bytes / kHugePage + 2) * kHugePage;
  void* raw = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) stop("no memory for the weights");
  auto* start = static_cast<char*>(raw);
  start += (kHugePage - reinterpret_cast<uintptr_t>(raw) % kHugePage) % kHugePage;
  madvise(start, mapped - kHugePage, MADV_HUGEPAGE);
  std::memset(start, 0, bytes);
  enter_real_time(arguments.number("core"), 0);

  std::vector<int64_t> spent(static_cast<size_t>(passes));
  volatile float sink = 0;
  for (int64_t pass = -passes / 10; pass < passes; ++pass) {  // the first tenth warms up
    const int64_t begin = now_ns();
    sink = read_all(reinterpret_cast<const Wide*>(start), per_stream);
    if (pass >= 0) spent[static_cast<size_t>(pass)] = now_ns() - begin;
  }
  static_cast<void>(sink);
  std::ofstream file(arguments.text("out"), std::ios::binary);
  file.write(reinterpret_cast<const char*>(spent.data()),
             static_cast<std::streamsize>(spent.size() * sizeof(int64_t)));
  if (!file) stop("cannot write " + arguments.text("out"));
  return 0;
}
