// Commit word and mailbox under real threads: exactly one action a tick, never a torn one.
#include <atomic>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

#include "rtinfer/native/commit.hpp"
#include "rtinfer/native/mailbox.hpp"
#include "tests/native/check.hpp"

using namespace rtinfer::rt;

namespace {

constexpr uint32_t kCount = 29;

// Every value of an action says its tick and its writer, so that a torn one gives itself away.
void fill(Action& action, uint64_t tick, float writer) {
  action.tick = tick;
  action.seq = tick;
  action.count = kCount;
  for (uint32_t i = 0; i < kStoredChannels * kCount; ++i) {
    action.values[i] = static_cast<float>(tick % 100000) + writer;
  }
}

bool whole(const Action& action) {
  for (uint32_t i = 1; i < kStoredChannels * kCount; ++i) {
    if (action.values[i] != action.values[0]) return false;
  }
  const float base = static_cast<float>(action.tick % 100000);
  return action.values[0] == base + 0.25f || action.values[0] == base + 0.5f;
}

}  // namespace

TEST("two writers race for every tick: one wins each, and readers see whole actions in order") {
  constexpr uint64_t kTicks = 60'000;
  auto area = std::make_unique<CommitArea>();
  std::vector<std::atomic<int>> winners(kTicks + 1);  // partner: the checks after join
  std::atomic<bool> done{false};                      // partner: the reader below
  const auto write = [&](Writer writer, float mark) {
    Committer committer(*area, writer);
    Action action{};
    for (uint64_t tick = 1; tick <= kTicks; ++tick) {
      fill(action, tick, mark);
      // As the cores do it: again only when the other writer committed an older tick meanwhile.
      for (int attempt = 0; attempt < 2; ++attempt) {
        if (!committer.commit(action, area->word.load(std::memory_order_acquire))) continue;
        winners[tick].fetch_add(1, std::memory_order_relaxed);
        break;
      }
    }
  };
  uint64_t reads = 0;
  std::thread reader([&] {
    Action action{};
    uint64_t last = 0;
    while (!done.load(std::memory_order_acquire)) {
      if (read_committed(*area, kCount, action) == 0) continue;
      CHECK(whole(action));
      CHECK(action.tick >= last);
      last = action.tick;
      ++reads;
    }
  });
  std::thread tick(write, Writer::kTick, 0.25f);
  std::thread watchdog(write, Writer::kWatchdog, 0.5f);
  tick.join();
  watchdog.join();
  done.store(true, std::memory_order_release);
  reader.join();
  for (uint64_t t = 1; t <= kTicks; ++t) CHECK(winners[t].load() <= 1);
  CHECK(winners[kTicks].load() == 1);
  CHECK(tick_of(area->word.load()) == kTicks);
}

TEST("a tick that has its action gets no second one, and none for a tick that passed") {
  auto area = std::make_unique<CommitArea>();
  Committer tick(*area, Writer::kTick);
  Committer watchdog(*area, Writer::kWatchdog);
  Action action{};
  fill(action, 5, 0.25f);
  CHECK(tick.commit(action, 0));
  fill(action, 5, 0.5f);
  CHECK(!watchdog.commit(action, area->word.load()));
  fill(action, 4, 0.5f);
  CHECK(!watchdog.commit(action, area->word.load()));
  Action seen{};
  CHECK(read_committed(*area, kCount, seen) != 0);
  CHECK(seen.tick == 5 && seen.values[0] == 5.25f);
}

TEST("a mailbox hands every reader whole observations, newest last") {
  constexpr uint32_t kValues = 48;
  constexpr uint64_t kWrites = 60'000;
  auto area = std::make_unique<MailboxArea>();
  std::vector<std::atomic<uint64_t>> words(kMailboxSlots * Mailbox::value_words(kValues));
  Mailbox mailbox(area.get(), words.data(), kValues);
  std::atomic<bool> done{false};  // partner: the readers below
  const auto read = [&] {
    std::vector<float> values(kValues);
    ObservationHeader header{};
    uint64_t last = 0;
    while (!done.load(std::memory_order_acquire)) {
      if (!mailbox.read(header, values.data())) continue;
      CHECK(header.stamp.seq >= last);
      last = header.stamp.seq;
      for (const float value : values) CHECK(value == static_cast<float>(last % 100000));
    }
  };
  std::thread first(read);
  std::thread second(read);
  std::vector<float> values(kValues);
  for (uint64_t seq = 1; seq <= kWrites; ++seq) {
    std::fill(values.begin(), values.end(), static_cast<float>(seq % 100000));
    mailbox.write({{1, seq, 0}, 0}, values.data());
  }
  done.store(true, std::memory_order_release);
  first.join();
  second.join();
  ObservationHeader header{};
  CHECK(mailbox.read(header, values.data()));
  CHECK(header.stamp.seq == kWrites);
}

int main() {
  return check::run();
}
