// The tick's side of a worker: ask, wait within bounds, copy the answer out, never trust it.
#include "rtinfer/native/worker_engine.hpp"

#include <algorithm>
#include <stdexcept>

#include "rtinfer/native/clock.hpp"
#include "rtinfer/native/realtime.hpp"

namespace rtinfer::rt {
namespace {

// Below this, going to sleep costs more than it saves.
constexpr int64_t kWorthSleeping_ns = 50'000;
// A worker that shares the tick's core can only answer while the tick does not spin.
constexpr int64_t kLongestSpin_ns = 200'000;
constexpr int kWarmUpRuns = 300;  // more than RunningTail needs
constexpr int64_t kWarmUp_ns = 500'000'000;

inline void relax() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

WorkerEngine::WorkerEngine(const WorkerSpec& spec)
    : mapping_(SharedFile::create(
          spec.path, worker_file_bytes(spec.input_floats / 2, spec.output_floats / 2))),
      file_(static_cast<WorkerFile*>(mapping_.data())),
      inputs_(input_words(*file_)),
      outputs_(inputs_ + spec.input_floats / 2),
      input_words_(spec.input_floats / 2),
      output_words_(spec.output_floats / 2),
      has_state_(spec.has_state) {
  if (spec.engine_hash.size() != kHashBytes || spec.input_floats % 2 != 0 ||
      spec.output_floats % 2 != 0 || spec.input_floats > UINT32_MAX ||
      spec.output_floats > UINT32_MAX) {
    throw std::invalid_argument("a worker needs a hash of 32 bytes and even numbers of floats");
  }
  const size_t bytes = 8 * (input_words_ + output_words_);
  block_ = std::make_unique<Line[]>(bytes / sizeof(Line) + 1);
  block_bytes_ = static_cast<int64_t>(bytes);
  file_->version = kLayoutVersion;
  file_->loop_pid = static_cast<uint32_t>(getpid());
  file_->file_bytes = mapping_.bytes();
  file_->input_words = static_cast<uint32_t>(input_words_);
  file_->output_words = static_cast<uint32_t>(output_words_);
  std::memcpy(file_->engine_hash, spec.engine_hash.data(), kHashBytes);
  file_->magic.store(kWorkerMagic, std::memory_order_release);  // partner: WorkerPort::WorkerPort
}

Engine WorkerEngine::engine() noexcept {
  return {this,
          block_[0].bytes,
          block_bytes_,
          [](void* self, const EngineCall& call) noexcept {
            return static_cast<WorkerEngine*>(self)->run(call);
          },
          [](void* self) noexcept { static_cast<WorkerEngine*>(self)->accept_ = true; },
          [](void* self) noexcept {
            auto* worker = static_cast<WorkerEngine*>(self);
            worker->accept_ = false;
            worker->reset_ = true;
          }};
}

bool WorkerEngine::wait_ready(int64_t until_ns) noexcept {
  while (file_->generation.load(std::memory_order_acquire) == 0) {  // partner: WorkerPort::attach
    if (monotonic_ns() >= until_ns) return false;
    sleep_until_ns(monotonic_ns() + 1'000'000);
  }
  warm_up();
  return true;
}

// Teaches the response time, and touches everything that a run needs.
void WorkerEngine::warm_up() noexcept {
  const int64_t end_ns = monotonic_ns() + kWarmUp_ns;
  for (int i = 0; i < kWarmUpRuns && monotonic_ns() < end_ns; ++i) {
    run({0, monotonic_ns() + kWarmUp_ns});
  }
  reset_ = true;
  for (Counter* counter : {&file_->asks, &file_->answers, &file_->late, &file_->busy,
                           &file_->errors, &file_->torn, &file_->state_losses}) {
    counter->value.store(0, std::memory_order_relaxed);
  }
}

RT_TICK RunResult WorkerEngine::run(const EngineCall& call) noexcept {
  const int64_t asked_ns = monotonic_ns();
  if (asked_ns >= call.give_up_ns) return RunResult::kLate;
  if (!meet()) {
    file_->busy.add();
    return RunResult::kLate;
  }
  ask();
  if (!wait_for_answer(asked_ns, call.give_up_ns)) {
    file_->late.add();
    return RunResult::kLate;
  }
  response_.add(monotonic_ns() - asked_ns);
  return take();
}

// Whether there is a worker with nothing under way. A new one starts with its state at zero.
RT_TICK bool WorkerEngine::meet() noexcept {
  if (!answered()) return false;
  // partner: WorkerPort::attach, which sets it before it answers for the worker that is gone.
  const uint32_t generation = file_->generation.load(std::memory_order_acquire);
  if (generation == 0) return false;
  if (generation != generation_) {
    if (generation_ != 0 && has_state_) file_->state_losses.add();
    generation_ = generation;
    accept_ = false;
    reset_ = true;
  }
  return true;
}

RT_TICK void WorkerEngine::ask() noexcept {
  copy_out(block_[0].bytes, inputs_, input_words_);
  const uint32_t flags = (accept_ ? kAcceptPrevious : 0u) | (reset_ ? kResetState : 0u);
  file_->flags.store(flags, std::memory_order_relaxed);  // ordered by asked
  accept_ = false;
  reset_ = false;
  file_->asks.add();
  file_->asked.store(++asked_, std::memory_order_seq_cst);  // partner: WorkerPort::wait
  // partner: WorkerPort::wait, which sets it before it looks at asked once more.
  if (file_->worker_sleeps.load(std::memory_order_seq_cst) != 0) wake_shared(file_->asked);
}

RT_TICK bool WorkerEngine::answered() const noexcept {
  // partner: WorkerPort::publish. seq_cst, for doze: it comes after tick_sleeps.
  return file_->answered.load(std::memory_order_seq_cst) == asked_;
}

// Sleeps through what no answer ever undercut, spins where most come, sleeps again for the rest.
RT_TICK bool WorkerEngine::wait_for_answer(int64_t asked_ns, int64_t give_up_ns) noexcept {
  const int64_t p1_ns = response_.p1_ns();
  if (p1_ns >= kWorthSleeping_ns) doze(std::min(asked_ns + p1_ns, give_up_ns));
  const int64_t spin_end_ns = std::min(monotonic_ns() + kLongestSpin_ns, give_up_ns);
  while (!answered() && monotonic_ns() < spin_end_ns) relax();
  doze(give_up_ns);
  return answered();
}

RT_TICK void WorkerEngine::doze(int64_t until_ns) noexcept {
  if (answered()) return;
  file_->tick_sleeps.store(1, std::memory_order_seq_cst);  // partner: WorkerPort::publish
  while (!answered() && monotonic_ns() < until_ns) {
    const uint32_t seen = file_->answered.load(std::memory_order_seq_cst);  // partner: publish
    if (seen != asked_) sleep_on(file_->answered, seen, until_ns);
  }
  // partner: WorkerPort::publish; a spare wake-up is harmless.
  file_->tick_sleeps.store(0, std::memory_order_relaxed);
}

RT_TICK RunResult WorkerEngine::take() noexcept {
  // partner: WorkerPort::publish; the acquire in copy_in sees an odd one with any new word.
  const uint64_t before = file_->answering.load(std::memory_order_acquire);
  const uint64_t head = outputs_[0].load(std::memory_order_acquire);  // partner: publish
  copy_in(outputs_ + 1, block_[0].bytes + 8 * input_words_, output_words_);
  const uint64_t after = file_->answering.load(std::memory_order_relaxed);  // partner: publish
  if ((before & 1) != 0 || before != after || static_cast<uint32_t>(head) != asked_) {
    file_->torn.add();
    return RunResult::kFailed;
  }
  switch (static_cast<AnswerCode>(head >> 32)) {
    case AnswerCode::kDone:
      file_->answers.add();
      return RunResult::kDone;
    case AnswerCode::kRestarted:
      file_->late.add();
      return RunResult::kLate;
    default:
      file_->errors.add();
      return RunResult::kFailed;
  }
}

}  // namespace rtinfer::rt
