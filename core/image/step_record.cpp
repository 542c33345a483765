#include "core/image/step_record.h"

#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/image/digest.h"
#include "core/kernel/files.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace conductor::image {
namespace {

constexpr size_t most_bytes = 64 << 20;
constexpr size_t key_line = 65; // the first line of the file: 64 digits over all keys
constexpr size_t longest_value = 200;

using Kind = StepInputs::Kind;
using Parts = std::vector<StepInputs::Part>;

// Values of the named parts of one kind.
std::map<std::string, std::string> named(const Parts& parts, Kind kind)
{
  std::map<std::string, std::string> found;
  for (const auto& part : parts)
    if (part.kind == kind) found[part.name] = part.value;
  return found;
}

std::string label(Kind kind, const std::string& name)
{
  switch (kind) {
  case Kind::argument: return "ARG " + visible(name);
  case Kind::variable: return "ENV " + visible(name);
  case Kind::parent:
  case Kind::instruction:
  case Kind::setting:
  case Kind::file: break;
  }
  return visible(name);
}

std::string values_differ(Kind kind, const Parts& before, const Parts& now)
{
  const auto old = named(before, kind), fresh = named(now, kind);
  for (const auto& [name, value] : fresh) {
    const auto found = old.find(name);
    if (found == old.end()) return label(kind, name) + " is new";
    if (found->second != value)
      return fmt::format("{} is {}, was {}", label(kind, name), visible(value, 40), visible(found->second, 40));
  }
  for (const auto& [name, value] : old)
    if (!fresh.contains(name)) return label(kind, name) + " is gone";
  return {};
}

std::string files_differ(const Parts& before, const Parts& now)
{
  const auto old = named(before, Kind::file), fresh = named(now, Kind::file);
  std::string first;
  size_t others = 0;
  const auto tell = [&](const std::string& name, const char* what) {
    if (first.empty())
      first = visible(name, 200) + "\n" + what;
    else
      ++others;
  };
  // What changed says more than what came and went: a directory changes with every file in it.
  for (const auto& [name, value] : fresh)
    if (const auto found = old.find(name); found != old.end() && found->second != value) tell(name, "changed");
  for (const auto& [name, value] : fresh)
    if (!old.contains(name)) tell(name, "is new");
  for (const auto& [name, value] : old)
    if (!fresh.contains(name)) tell(name, "is gone");
  if (first.empty()) return {};
  const size_t line = first.find('\n');
  if (others == 0) return first.replace(line, 1, " ");
  return fmt::format("{} and {} other{} changed", first.substr(0, line), others, others == 1 ? "" : "s");
}

std::vector<StepRecord> parse(std::string_view text)
{
  std::vector<StepRecord> records;
  const auto document = nlohmann::json::parse(text, nullptr, false);
  if (!document.is_array()) return records;
  try {
    for (const auto& each : document) {
      StepRecord record{each.at("place"), each.at("key"), {}};
      for (const auto& part : each.at("parts")) {
        const std::string kind = part.at(0);
        record.parts.push_back({static_cast<Kind>(kind.empty() ? '?' : kind.front()), part.at(1), part.at(2)});
      }
      records.push_back(std::move(record));
    }
  } catch (const nlohmann::json::exception&) {
    records.clear(); // damaged: it only helps to explain
  }
  return records;
}

std::string keys_of(const std::vector<StepRecord>& records)
{
  Digest digest;
  for (const StepRecord& record : records) digest.field(record.place).field(record.key);
  return digest.hex() + "\n";
}

} // namespace

void StepInputs::add(Kind kind, std::string name, std::string value)
{
  // A long value is only ever compared, so its hash will do.
  if (value.size() > longest_value) value = "sha256:" + sha256(value);
  parts_.push_back({kind, std::move(name), std::move(value)});
}

std::string StepInputs::key() const
{
  Digest digest;
  digest.field("step 2").field(parts_.size());
  for (const Part& part : parts_) digest.field(static_cast<uint64_t>(part.kind)).field(part.name).field(part.value);
  return digest.hex();
}

std::string difference(const Parts& before, const Parts& now)
{
  const auto only = [](const Parts& parts, Kind kind) {
    std::string all;
    for (const auto& part : parts)
      if (part.kind == kind) all += part.value + "\n";
    return all;
  };
  if (only(before, Kind::instruction) != only(now, Kind::instruction)) return "the instruction changed";
  if (only(before, Kind::parent) != only(now, Kind::parent)) return "the parent changed";
  for (const Kind kind : {Kind::argument, Kind::variable, Kind::setting})
    if (std::string text = values_differ(kind, before, now); !text.empty()) return text;
  return files_differ(before, now);
}

StepRecords::StepRecords(const Root& root, std::string_view name)
    : root_(root), path_("build/steps-" + sha256(name).substr(0, 32))
{
  try {
    text_ = kernel::find_content(root.dir(), path_, most_bytes).value_or("");
  } catch (const Error&) {
    text_.clear();
  }
}

const std::vector<StepRecord>& StepRecords::before()
{
  if (!before_)
    before_ = text_.size() > key_line ? parse(std::string_view{text_}.substr(key_line)) : std::vector<StepRecord>{};
  return *before_;
}

// The record of the same step: the same place where the same instruction stands there, else the same instruction (lines
// were put in above it), else what stood at that place.
const StepRecord* StepRecords::find(const std::string& place, const StepInputs& inputs)
{
  const auto instruction = [](const Parts& parts) {
    for (const auto& part : parts)
      if (part.kind == Kind::instruction) return part.value;
    return std::string{};
  };
  const std::string wanted = instruction(inputs.parts());
  const StepRecord* best = nullptr;
  int best_rank = 0;
  for (const StepRecord& record : before()) {
    const bool same_place = record.place == place, same_text = instruction(record.parts) == wanted;
    const int rank = (same_text ? 2 : 0) + (same_place ? 1 : 0);
    if (rank > best_rank) best = &record;
    best_rank = std::max(rank, best_rank);
  }
  return best;
}

std::string StepRecords::why(const std::string& place, const StepInputs& inputs)
{
  const StepRecord* record = find(place, inputs);
  if (record == nullptr) return before().empty() ? "not made before" : "the step is new";
  const std::string text = difference(record->parts, inputs.parts());
  return text.empty() ? "its layer is no longer there" : text;
}

void StepRecords::note(const std::string& place, std::string key, const StepInputs& inputs)
{
  now_.push_back({place, std::move(key), inputs.parts()});
}

void StepRecords::save(bool whole)
{
  if (!whole)
    for (const StepRecord& record : before())
      if (std::none_of(now_.begin(), now_.end(), [&](const StepRecord& now) { return now.place == record.place; }))
        now_.push_back(record);
  const std::string keys = keys_of(now_);
  if (now_.empty() || text_.starts_with(keys)) return;
  nlohmann::json document = nlohmann::json::array();
  for (const StepRecord& record : now_) {
    nlohmann::json parts = nlohmann::json::array();
    for (const auto& part : record.parts)
      parts.push_back({std::string(1, static_cast<char>(part.kind)), part.name, part.value});
    document.push_back({{"place", record.place}, {"key", record.key}, {"parts", std::move(parts)}});
  }
  try {
    kernel::make_directory(root_.trace(), root_.dir(), "build", 0700);
    kernel::write_file(root_.trace(), root_.dir(), path_,
                       keys + document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } catch (const Error& error) {
    root_.trace().notice(error.sentence());
  }
}

} // namespace conductor::image
