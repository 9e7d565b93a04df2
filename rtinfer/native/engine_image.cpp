// Decoding an engine image; the plan and the bindings check every number in it once more.
#include "rtinfer/native/engine_image.hpp"

#include <bit>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "rtinfer/native/loop_plan.hpp"
#include "rtinfer/native/msgpack.hpp"

namespace rtinfer::rt {
namespace {

constexpr uint64_t kImageSchema = 1;
constexpr int kWarmUpRuns = 20;

std::vector<std::byte> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read the engine image " + path);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::byte> out(bytes.size());
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

std::string text(MsgpackReader& reader) {
  const Bytes bytes = reader.text();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::vector<int64_t> integers(MsgpackReader& reader) {
  std::vector<int64_t> out(reader.array());
  for (int64_t& value : out) value = reader.signed_integer();
  return out;
}

std::vector<graphs::OpSpec> operations(MsgpackReader& reader) {
  std::vector<graphs::OpSpec> out(reader.array());
  for (graphs::OpSpec& op : out) {
    reader.array();
    op.name = text(reader);
    op.ints = integers(reader);
    op.floats.resize(reader.array());
    for (double& value : op.floats) value = std::bit_cast<double>(reader.unsigned_integer());
  }
  return out;
}

std::vector<TermSpec> terms_of(MsgpackReader& reader) {
  std::vector<TermSpec> out(reader.array());
  for (TermSpec& term : out) {
    reader.array();
    term.source = reader.signed_integer();
    term.start = reader.signed_integer();
    term.size = reader.signed_integer();
    term.offset = reader.signed_integer();
  }
  return out;
}

// A swap must not change what the robot is told: only the plan and its offsets are new.
LoopSpec with_offsets(const LoopSpec& loop, std::vector<TermSpec> terms,
                      const std::vector<int64_t>& outputs) {
  if (outputs.size() != loop.groups.size()) {
    throw std::runtime_error("the new engine has values for " + std::to_string(outputs.size()) +
                             " action groups, expected " + std::to_string(loop.groups.size()));
  }
  LoopSpec spec = loop;
  spec.terms = std::move(terms);
  for (size_t g = 0; g < outputs.size(); ++g) spec.groups[g].output_offset = outputs[g];
  return spec;
}

}  // namespace

Engine inline_engine(graphs::Plan& plan) noexcept {
  return {&plan,
          plan.block(),
          plan.block_bytes(),
          [](void* self, const EngineCall&) noexcept {
            static_cast<graphs::Plan*>(self)->run();
            return RunResult::kDone;
          },
          [](void* self) noexcept { static_cast<graphs::Plan*>(self)->accept_state(); },
          [](void* self) noexcept { static_cast<graphs::Plan*>(self)->reset_state(); }};
}

std::unique_ptr<LoadedEngine> load_engine_image(const std::string& path, const LoopSpec& loop,
                                                const std::vector<SourceSpec>& sources) {
  const std::vector<std::byte> bytes = read_file(path);
  MsgpackReader reader(bytes);
  const size_t fields = reader.array();
  if (fields != 8 || reader.unsigned_integer() != kImageSchema) {
    throw std::runtime_error("the engine image " + path + " is not of this version of rtinfer");
  }
  const Bytes hash = reader.binary();
  graphs::PlanSpec plan;
  plan.weights = reader.binary();
  plan.arena_bytes = reader.signed_integer();
  plan.ops = operations(reader);
  plan.state.resize(reader.array());
  for (graphs::StateSpec& state : plan.state) {
    reader.array();
    state.in = reader.signed_integer();
    state.out = reader.signed_integer();
    state.bytes = reader.signed_integer();
  }
  std::vector<TermSpec> terms = terms_of(reader);
  const std::vector<int64_t> outputs = integers(reader);
  if (!reader.at_end() || hash.size() != sizeof(EngineHash)) {
    throw std::runtime_error("the engine image " + path + " is damaged");
  }
  std::string error;
  auto loaded = std::make_unique<LoadedEngine>();
  loaded->plan = graphs::Plan::create(plan, error);
  if (!loaded->plan) throw std::runtime_error(error);
  const LoopSpec bound_spec = with_offsets(loop, std::move(terms), outputs);
  loaded->bound = bind_engine(bound_spec, sources, inline_engine(*loaded->plan));
  std::memcpy(loaded->bound.hash.data(), hash.data(), hash.size());
  for (int i = 0; i < kWarmUpRuns; ++i) loaded->plan->run();
  loaded->plan->reset_state();
  return loaded;
}

}  // namespace rtinfer::rt
