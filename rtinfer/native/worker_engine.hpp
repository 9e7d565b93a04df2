// An engine that runs in a worker process: the tick asks, sleeps, spins a little, and gives up in
// time. Whatever the worker does, it costs its own ticks at most.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "rtinfer/native/engine.hpp"
#include "rtinfer/native/guard.hpp"
#include "rtinfer/native/shared_file.hpp"
#include "rtinfer/native/worker_file.hpp"

namespace rtinfer::rt {

struct WorkerSpec {
  std::string path;         // of the file to make
  std::string engine_hash;  // 32 bytes; the worker must have the same engine
  size_t input_floats = 0;  // the block is [inputs | outputs], each a multiple of two floats
  size_t output_floats = 0;
  bool has_state = false;
};

class WorkerEngine {
 public:
  // Makes the file. Throws std::runtime_error or std::invalid_argument with a sentence.
  explicit WorkerEngine(const WorkerSpec& spec);

  Engine engine() noexcept;

  // Waits for a worker and runs it warm; no run is accepted. False when none came in time.
  bool wait_ready(int64_t until_ns) noexcept;

  const WorkerFile& file() const noexcept { return *file_; }

 private:
  RT_TICK RunResult run(const EngineCall& call) noexcept;
  RT_TICK bool meet() noexcept;
  RT_TICK void ask() noexcept;
  RT_TICK bool answered() const noexcept;
  RT_TICK bool wait_for_answer(int64_t asked_ns, int64_t give_up_ns) noexcept;
  RT_TICK void doze(int64_t until_ns) noexcept;
  RT_TICK RunResult take() noexcept;
  void warm_up() noexcept;

  struct alignas(64) Line {
    std::byte bytes[64];
  };

  SharedFile mapping_;
  WorkerFile* file_;
  // Sizes and places are kept here: what the worker may have written over is not asked for them.
  SharedWord* inputs_;   // partner: WorkerPort::wait
  SharedWord* outputs_;  // the answer's head, then the values; partner: WorkerPort::publish
  size_t input_words_;
  size_t output_words_;
  bool has_state_;
  std::unique_ptr<Line[]> block_;  // private: a worker never writes what the tick reads as valid
  int64_t block_bytes_;
  RunningTail response_;
  uint32_t asked_ = 0;
  uint32_t generation_ = 0;
  bool accept_ = false;
  bool reset_ = true;
};

}  // namespace rtinfer::rt
