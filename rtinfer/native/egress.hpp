// The egress thread: owns every output socket, and sends what the committed word names.
#pragma once

#include <vector>

#include "rtinfer/native/action_frame.hpp"
#include "rtinfer/native/guard.hpp"
#include "rtinfer/native/service_parts.hpp"
#include "rtinfer/native/zmq_api.hpp"

namespace rtinfer::rt {

class Egress {
 public:
  // Binds the sockets; throws with a sentence. The thread that calls run() owns them from then on.
  Egress(ServiceParts& parts, const ZmqApi& api);
  ~Egress();
  Egress(const Egress&) = delete;
  Egress& operator=(const Egress&) = delete;

  void run() noexcept;

 private:
  struct Sink {
    size_t loop;
    void* socket;
    ActionFrame frame;
  };
  struct LoopView {
    uint64_t tick = 0;  // last sent
    uint64_t seq = 0;
    Action action{};
    int64_t offset_ns = 0;  // running mean of commit after schedule
  };

  bool forward(size_t loop) noexcept;
  void send(Sink& sink, LoopView& view) noexcept;
  int64_t next_commit_ns() const noexcept;
  void wait(uint32_t seen) noexcept;

  ServiceParts& parts_;
  ZmqContext context_;
  std::vector<Sink> sinks_;
  std::vector<LoopView> views_;
  RunningTail send_tail_;
};

}  // namespace rtinfer::rt
