// The paced robot side: sends one observation a period, notes when its answer came; for peer and
// rtinfer.
//
// Writes rows of five little-endian int64: observation seq, sent, received, action tick, and the
// source stamp that the action echoes (all times CLOCK_MONOTONIC ns). The peer's tick and stamp are
// 0.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <vector>

#include "bench/native/program.hpp"
#include "bench/native/zmq_library.hpp"

namespace {

using namespace bench;

struct Row {
  int64_t seq, sent_ns, received_ns, tick, stamp_ns;
};

std::vector<unsigned char> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) stop("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Offsets {
  size_t seq, tick, stamp;
};

// The newest action that waits, or the first that arrives before the socket's time limit.
bool receive_action(const Zmq& zmq, void* in, std::vector<unsigned char>& frame, const Offsets& at,
                    Row& row) {
  if (zmq.receive(in, frame.data(), frame.size(), 0) < 0) return false;  // the topic
  const int size = zmq.receive(in, frame.data(), frame.size(), 0);
  row.received_ns = now_ns();
  if (size < static_cast<int>(std::max({at.seq, at.tick, at.stamp}) + 8)) return false;
  row.seq = load_big_endian(frame.data() + at.seq);
  row.tick = load_big_endian(frame.data() + at.tick);
  row.stamp_ns = load_big_endian(frame.data() + at.stamp);
  return true;
}

}  // namespace

int main(int count, char** words) {
  const Arguments arguments(count, words);
  const Zmq zmq(arguments.text("libzmq"));
  const int64_t core = arguments.number("core");
  const int64_t priority = arguments.number("priority");
  const int64_t period_ns = arguments.number("period_ns");
  const int64_t sends = arguments.number("count");
  const auto epoch_at = static_cast<size_t>(arguments.number("observation_epoch_offset"));
  const auto seq_at = static_cast<size_t>(arguments.number("observation_seq_offset"));
  const auto stamp_at = static_cast<size_t>(arguments.number("observation_stamp_offset"));
  const Offsets action_at{static_cast<size_t>(arguments.number("action_seq_offset")),
                          static_cast<size_t>(arguments.number("action_tick_offset")),
                          static_cast<size_t>(arguments.number("action_stamp_offset"))};
  const std::string topic = arguments.text("observation_topic");
  std::vector<unsigned char> observation = read_file(arguments.text("observation"));
  if (std::max({epoch_at, seq_at, stamp_at}) + 8 > observation.size())
    stop("an offset lies outside the frame");

  void* context = zmq.context(core, priority);
  void* out = zmq.socket(context, kPub);
  void* in = zmq.socket(context, kSub);
  const std::string& action_topic = arguments.text("action_topic");
  zmq.set(in, kSubscribe, action_topic.data(), action_topic.size());
  zmq.option(in, kReceiveTimeout, static_cast<int>(std::max<int64_t>(1, period_ns / 1'000'000)));
  zmq.option(out, kLinger, 0);
  if (zmq.connect(out, arguments.text("observation_endpoint").c_str()) != 0) stop("cannot connect");
  if (zmq.connect(in, arguments.text("action_endpoint").c_str()) != 0) stop("cannot connect");

  std::vector<unsigned char> frame(65536);
  std::vector<Row> rows;
  rows.reserve(static_cast<size_t>(std::min<int64_t>(sends, 1 << 20)));
  enter_real_time(core, priority);
  // first_ns names one instant of the grid that observations are sent on; 0: now, once connected.
  const int64_t start_ns = now_ns() + kSecond / 5;
  store_big_endian(observation.data() + epoch_at, static_cast<uint64_t>(start_ns));
  const int64_t phase_ns = arguments.number("first_ns") % period_ns;
  const int64_t first_ns = start_ns - start_ns % period_ns + period_ns + phase_ns;

  for (int64_t k = 0; k < sends; ++k) {
    // An answer that never came took longer than a period: on to the next instant of the grid.
    k = std::max(k, (now_ns() - first_ns + period_ns - 1) / period_ns);
    sleep_until(first_ns + k * period_ns);
    const int64_t seq = k + 1;
    const int64_t sent_ns = now_ns();
    store_big_endian(observation.data() + seq_at, static_cast<uint64_t>(seq));
    store_big_endian(observation.data() + stamp_at, static_cast<uint64_t>(sent_ns));
    zmq.send(out, topic.data(), topic.size(), kSendMore);
    zmq.send(out, observation.data(), observation.size(), 0);
    // Answers to earlier observations (a late tick) are left aside; so are actions made of none.
    Row row{};
    do {
      if (!receive_action(zmq, in, frame, action_at, row)) break;
    } while (row.seq < seq && now_ns() < first_ns + (k + 1) * period_ns);
    if (row.seq == seq) {
      row.sent_ns = sent_ns;
      rows.push_back(row);
    }
  }

  std::ofstream file(arguments.text("out"), std::ios::binary);
  file.write(reinterpret_cast<const char*>(rows.data()),
             static_cast<std::streamsize>(rows.size() * sizeof(Row)));
  if (!file) stop("cannot write " + arguments.text("out"));
  return 0;
}
