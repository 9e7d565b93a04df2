// The ingress thread: validates frames into the mailboxes and serves the control endpoint.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "rtinfer/native/loader.hpp"
#include "rtinfer/native/loop_plan.hpp"
#include "rtinfer/native/observation_frame.hpp"
#include "rtinfer/native/service_parts.hpp"
#include "rtinfer/native/zmq_api.hpp"

namespace rtinfer::rt {

// Refills at `rate` tokens a second up to `burst`.
class TokenBucket {
 public:
  TokenBucket(double rate_per_s, double burst) noexcept
      : rate_(rate_per_s), burst_(burst), tokens_(burst) {}
  bool take(int64_t now_ns) noexcept;  // false: over budget
  bool half_full() const noexcept { return tokens_ >= burst_ / 2; }

 private:
  double rate_, burst_, tokens_;
  int64_t last_ns_ = 0;
};

class Ingress {
 public:
  // Binds the sockets; throws with a sentence. `wake_fd` becomes readable when it is time to exit.
  Ingress(ServiceParts& parts, const ZmqApi& api, Loader& loader, int wake_fd);
  ~Ingress();
  Ingress(const Ingress&) = delete;
  Ingress& operator=(const Ingress&) = delete;

  void run();

 private:
  struct Source {
    FrameFormat format;
    SourceOrder order;
    Mailbox mailbox;
    SourceFile* file;
    std::vector<float> values;  // of the frame being decoded
    std::vector<float> newest;  // of the newest valid frame of this wake-up
    ObservationHeader header{};
    bool fresh = false;
    std::vector<Notifier*> starts = {};  // of the loops whose ticks it starts
  };
  struct Socket {
    void* handle;
    std::vector<size_t> sources;
  };

  void add_source(size_t index);
  bool drain(Socket& socket);
  void take_frame(Socket& socket, Bytes topic, Bytes payload, int64_t now);
  void keep_budget(Socket& socket, int64_t now);
  void serve_control();
  std::array<std::string, 2> answer(const std::string& verb, const std::string& loop);
  std::array<std::string, 2> exchange(const std::string& verb, const std::string& name,
                                      const std::string& path);
  std::array<std::string, 2> command(const std::string& verb, ServiceLoop& loop);

  ServiceParts& parts_;
  Loader& loader_;
  ZmqContext context_;
  int wake_fd_;
  std::vector<Source> sources_;
  std::vector<Socket> sockets_;
  void* control_;
  TokenBucket budget_;
  bool demoted_ = false;
};

// The status of a service as JSON, for `rtinfer ctl status`.
std::string status_json(const ServiceParts& parts);

}  // namespace rtinfer::rt
