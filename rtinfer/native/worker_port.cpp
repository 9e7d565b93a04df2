// Opening, waiting and answering, in a worker process. Nothing here runs in a tick.
#include "rtinfer/native/worker_port.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <thread>

#include "rtinfer/native/clock.hpp"
#include "rtinfer/native/realtime.hpp"

namespace rtinfer::rt {
namespace {

// The file appears under its name before it is filled.
void wait_for_magic(const std::string& path, int64_t until_ns) {
  while (true) {
    if (access(path.c_str(), R_OK | W_OK) == 0) {
      const SharedFile mapping = SharedFile::open_read_only(path, sizeof(WorkerFile));
      const auto& file = *static_cast<const WorkerFile*>(mapping.data());
      // partner: WorkerEngine::WorkerEngine
      const uint64_t magic = file.magic.load(std::memory_order_acquire);
      if (magic == kWorkerMagic && file.version == kLayoutVersion) return;
      if (magic != 0) throw std::runtime_error(path + " was not written by this version");
    }
    if (monotonic_ns() >= until_ns) throw std::runtime_error("no loop made " + path);
    sleep_until_ns(monotonic_ns() + 1'000'000);
  }
}

}  // namespace

FileLock::FileLock(const std::string& path) : fd_(open(path.c_str(), O_RDWR | O_CLOEXEC)) {
  if (fd_ >= 0 && flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
  if (fd_ >= 0) close(fd_);
  throw std::runtime_error(path + " has a worker already");
}

FileLock::~FileLock() {
  close(fd_);
}

WorkerPort::WorkerPort(const std::string& path, const std::string& engine_hash, int64_t until_ns)
    : lock_((wait_for_magic(path, until_ns), path)),
      mapping_(SharedFile::open_shared(path, sizeof(WorkerFile))),
      file_(static_cast<WorkerFile*>(mapping_.data())),
      input_words_(file_->input_words),
      output_words_(file_->output_words) {
  if (worker_file_bytes(input_words_, output_words_) != mapping_.bytes()) {
    throw std::runtime_error(path + " is damaged");
  }
  if (engine_hash.size() != kHashBytes ||
      std::memcmp(engine_hash.data(), file_->engine_hash, kHashBytes) != 0) {
    throw std::runtime_error("the engine was replaced after the loop of " + path + " started");
  }
  block_ = std::make_unique<Line[]>(8 * (input_words_ + output_words_) / sizeof(Line) + 1);
}

void WorkerPort::attach() noexcept {
  file_->worker_pid.store(static_cast<uint32_t>(getpid()), std::memory_order_relaxed);
  file_->beat_ns.store(monotonic_ns(), std::memory_order_relaxed);
  // partner: WorkerEngine::meet (acquire), which looks at it once it sees the answer below.
  file_->generation.fetch_add(1, std::memory_order_release);
  handled_ = file_->asked.load(std::memory_order_acquire);  // partner: WorkerEngine::ask
  publish(AnswerCode::kRestarted);
}

int64_t WorkerPort::wait(int64_t until_ns) noexcept {
  while (true) {
    const int64_t now = monotonic_ns();
    file_->beat_ns.store(now, std::memory_order_relaxed);           // partner: the supervisor
    uint32_t asked = file_->asked.load(std::memory_order_acquire);  // partner: WorkerEngine::ask
    if (asked != handled_) {
      handled_ = asked;
      copy_in(input_words(*file_), block_[0].bytes, input_words_);
      return file_->flags.load(std::memory_order_relaxed);  // ordered by asked
    }
    if (now >= until_ns) return -1;
    file_->worker_sleeps.store(1, std::memory_order_seq_cst);  // partner: WorkerEngine::ask
    asked = file_->asked.load(std::memory_order_seq_cst);      // partner: WorkerEngine::ask
    if (asked == handled_) sleep_on(file_->asked, asked, until_ns);
    // partner: WorkerEngine::ask; a spare wake-up is harmless.
    file_->worker_sleeps.store(0, std::memory_order_relaxed);
  }
}

void WorkerPort::answer(bool done) noexcept {
  publish(done ? AnswerCode::kDone : AnswerCode::kFailed);
}

void WorkerPort::publish(AnswerCode code) noexcept {
  SharedWord* head = input_words(*file_) + input_words_;  // partner: WorkerEngine::take
  // A worker that was killed in here left it odd: the next even one counts on from there.
  const uint64_t version = file_->answering.load(std::memory_order_relaxed) | 1;
  file_->answering.store(version, std::memory_order_relaxed);
  // partner: WorkerEngine::take (acquire): who sees a new word sees the odd version too.
  head->store(handled_ | static_cast<uint64_t>(code) << 32, std::memory_order_release);
  copy_out(block_[0].bytes + 8 * input_words_, head + 1, output_words_);
  file_->answering.store(version + 1, std::memory_order_release);  // partner: WorkerEngine::take
  file_->answered.store(handled_, std::memory_order_seq_cst);  // partner: WorkerEngine::answered
  // partner: WorkerEngine::doze, which sets it before it looks at answered once more.
  if (file_->tick_sleeps.load(std::memory_order_seq_cst) != 0) wake_shared(file_->answered);
}

void exit_with_process(int pidfd) {
  std::thread([pidfd] {
    pollfd item{pidfd, POLLIN, 0};
    while (poll(&item, 1, -1) < 0 && errno == EINTR) {
    }
    _exit(0);
  }).detach();
}

}  // namespace rtinfer::rt
