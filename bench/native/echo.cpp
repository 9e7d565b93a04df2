// The peer: takes an observation frame and answers at once with a frame as large as an action.
#include <vector>

#include "bench/native/program.hpp"
#include "bench/native/zmq_library.hpp"

int main(int count, char** words) {
  using namespace bench;
  const Arguments arguments(count, words);
  const Zmq zmq(arguments.text("libzmq"));
  const int64_t core = arguments.number("core");
  const int64_t priority = arguments.number("priority");
  const auto seq_in = static_cast<size_t>(arguments.number("observation_seq_offset"));
  const auto seq_out = static_cast<size_t>(arguments.number("action_seq_offset"));
  const std::string topic = arguments.text("action_topic");
  std::vector<unsigned char> action(static_cast<size_t>(arguments.number("action_bytes")));
  std::vector<unsigned char> frame(65536);
  if (seq_out + 8 > action.size()) stop("action_seq_offset lies outside the action");

  void* context = zmq.context(core, priority);
  void* in = zmq.socket(context, kSub);
  void* out = zmq.socket(context, kPub);
  const std::string source = arguments.text("observation_topic");
  zmq.set(in, kSubscribe, source.data(), source.size());
  if (zmq.bind(in, arguments.text("observation_endpoint").c_str()) != 0) stop("cannot bind");
  if (zmq.bind(out, arguments.text("action_endpoint").c_str()) != 0) stop("cannot bind");
  enter_real_time(core, priority);
  std::puts("ready");
  std::fflush(stdout);

  while (true) {
    if (zmq.receive(in, frame.data(), frame.size(), 0) < 0) continue;  // the topic
    const int size = zmq.receive(in, frame.data(), frame.size(), 0);
    if (size < static_cast<int>(seq_in + 8)) continue;
    std::memcpy(action.data() + seq_out, frame.data() + seq_in, 8);
    zmq.send(out, topic.data(), topic.size(), kSendMore);
    zmq.send(out, action.data(), action.size(), 0);
  }
}
