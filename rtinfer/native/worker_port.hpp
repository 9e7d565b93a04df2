// The worker's side of <loop>.worker: wait for a request, answer it. Values cross by copy, so that
// what runs between the two never touches shared memory.
#pragma once

#include <memory>
#include <string>

#include "rtinfer/native/shared_file.hpp"
#include "rtinfer/native/worker_file.hpp"

namespace rtinfer::rt {

// Held on an open file while it lives.
class FileLock {
 public:
  explicit FileLock(const std::string& path);  // throws std::runtime_error: another has it
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();

 private:
  int fd_;
};

class WorkerPort {
 public:
  // Opens the file of a loop, which may still be about to make it; one worker at a time may.
  // Throws std::runtime_error with a sentence.
  WorkerPort(const std::string& path, const std::string& engine_hash, int64_t until_ns);
  // From now on the loop may ask. What it asked a worker before this one is answered: restarted.
  void attach() noexcept;
  // The RequestFlag bits of a new request, its inputs copied; -1: none until then.
  int64_t wait(int64_t until_ns) noexcept;
  // The outputs as they are now, or that there are none.
  void answer(bool done) noexcept;

  float* inputs() noexcept { return reinterpret_cast<float*>(block_[0].bytes); }
  float* outputs() noexcept { return inputs() + 2 * input_words_; }
  size_t input_floats() const noexcept { return 2 * input_words_; }
  size_t output_floats() const noexcept { return 2 * output_words_; }

 private:
  void publish(AnswerCode code) noexcept;

  struct alignas(64) Line {
    std::byte bytes[64];
  };

  FileLock lock_;
  SharedFile mapping_;
  WorkerFile* file_;
  size_t input_words_;
  size_t output_words_;
  std::unique_ptr<Line[]> block_;
  uint32_t handled_ = 0;
};

// Ends this process, with code 0, when `pidfd` says that its process is gone: also while Python
// or a library hangs.
void exit_with_process(int pidfd);

}  // namespace rtinfer::rt
