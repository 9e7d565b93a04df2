// The races between tick thread and watchdog, one interleaving each: a clock that lets the other
// thread commit between the moment an action is made and its compare-and-swap.
#include <array>
#include <functional>
#include <memory>
#include <utility>

#include "rtinfer/native/loop_plan.hpp"
#include "tests/native/check.hpp"
#include "tests/native/core_fixture.hpp"

using namespace rtinfer::rt;
using fixture::kPeriod_ns;

namespace {

// Stands still, and does `meanwhile` once when somebody asks for the time.
class MeddlingClock final : public Clock {
 public:
  int64_t now_ns() const noexcept override {
    if (calls_left_ > 0 && --calls_left_ == 0) meanwhile_();
    return now_;
  }
  void set_ns(int64_t now) { now_ = now; }
  void meddle(int call, std::function<void()> meanwhile) {
    calls_left_ = call;
    meanwhile_ = std::move(meanwhile);
  }
  bool met() const { return calls_left_ == 0; }

 private:
  int64_t now_ = 0;
  mutable int calls_left_ = -1;
  std::function<void()> meanwhile_;
};

struct Race {
  fixture::HalfEngine half;
  MeddlingClock clock;
  LoopPlan plan = make_loop_plan(fixture::loop(), fixture::sources());
  BoundEngine bound = bind_engine(fixture::loop(), fixture::sources(), half.engine());
  std::unique_ptr<LoopFile> file = std::make_unique<LoopFile>();
  MailboxArea area{};
  std::array<std::atomic<uint64_t>, kMailboxSlots * Mailbox::value_words(4)> words{};
  Mailbox mailbox{&area, words.data(), 4};
  std::unique_ptr<TickCore> tick;
  std::unique_ptr<WatchdogCore> watchdog;
  Committer other;  // what the thread that is not under test does

  explicit Race(Writer writer) : other(file->commits, writer) {
    plan.grid.base_ns = 0;
    plan.sources[0].mailbox = mailbox;
    init_loop_file(*file, fixture::loop(), fixture::sources(), plan);
    tick = std::make_unique<TickCore>(plan, *file, bound, clock);
    watchdog = std::make_unique<WatchdogCore>(plan, *file, clock);
  }

  void observe(uint64_t seq) {
    const float values[4] = {1.0f, -1.0f, 0.3f, -0.2f};
    mailbox.write({{1, seq, clock.now_ns()}, clock.now_ns()}, values);
  }

  void at(uint64_t tick_number, int64_t offset_ns) {
    clock.set_ns(static_cast<int64_t>(tick_number) * kPeriod_ns + offset_ns);
  }

  // The watchdog alone, until it has armed the loop and committed the tick before `until`.
  void arm(uint64_t until) {
    for (uint64_t number = 1; number < until; ++number) {
      at(number, 0);
      observe(number);
      at(number, kPeriod_ns / 2);
      watchdog->act(number, clock.now_ns(), 0);
    }
  }

  // The other thread commits `tick_number` from what is committed now.
  void commit_other(uint64_t tick_number) {
    Action action{};
    const uint64_t word = read_committed(file->commits, file->value_count, action);
    action.tick = tick_number;
    action.seq += 1;
    CHECK(other.commit(action, word));
  }

  Action committed() const {
    Action action{};
    read_committed(file->commits, file->value_count, action);
    return action;
  }
};

}  // namespace

// tests/model/commit.pml finds this one with -DONE_ATTEMPT.
TEST("the watchdog has an action for its tick although the tick before it is committed meanwhile") {
  for (int call = 1; call <= 3; ++call) {
    Race race(Writer::kTick);
    race.arm(8);
    const Action before = race.committed();
    CHECK(before.tick == 7);
    race.at(9, kPeriod_ns / 2);
    race.clock.meddle(call, [&race] { race.commit_other(8); });
    CHECK(race.watchdog->act(9, race.clock.now_ns(), 0));
    CHECK(race.clock.met());
    CHECK(race.committed().tick == 9);
    CHECK(race.committed().seq == before.seq + 2);
  }
}

TEST("the tick thread has an action for its tick although the watchdog commits the one before") {
  Race race(Writer::kWatchdog);
  race.arm(6);
  for (uint64_t number = 6; number < 8; ++number) {
    race.at(number, 0);
    race.observe(number);
    CHECK(race.tick->begin(number));
    CHECK(race.tick->finish());
  }
  const Action before = race.committed();
  race.at(9, 0);
  race.observe(9);
  CHECK(race.tick->begin(9));
  // The first call in finish() ends the engine's figure, the second stamps the action.
  race.clock.meddle(2, [&race] { race.commit_other(8); });
  CHECK(race.tick->finish());
  CHECK(race.clock.met());
  CHECK(race.committed().tick == 9);
  CHECK(race.committed().origin == Origin::kPolicy || race.committed().origin == Origin::kSafe);
  CHECK(race.committed().seq == before.seq + 2);
}

TEST("who finds its tick committed meanwhile leaves it alone") {
  Race race(Writer::kTick);
  race.arm(8);
  race.at(8, kPeriod_ns / 2);
  race.clock.meddle(2, [&race] { race.commit_other(8); });
  CHECK(!race.watchdog->act(8, race.clock.now_ns(), 0));
  CHECK(race.clock.met());
  CHECK(race.committed().tick == 8);
}

int main() {
  return check::run();
}
