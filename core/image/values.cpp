#include "core/image/values.h"

#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/container/user.h"
#include "core/image/download.h"
#include "core/image/file_mode.h"
#include "core/image/image.h"
#include "core/image/run_mount.h"
#include "core/image/words.h"
#include "core/kernel/signals.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace conductor::image {
namespace {

std::optional<unsigned> port_of(std::string_view text)
{
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || port == 0 || port > 65535)
    return std::nullopt;
  return port;
}

bool has_variable(std::string_view word) { return word.find('$') != std::string_view::npos; }

// The value of a word that holds no variable; none of others.
std::optional<std::string> literal(std::string_view word, char escape)
{
  if (has_variable(word)) return std::nullopt;
  return expand(word, {}, escape);
}

std::optional<std::string> literal_flag(const Instruction& instruction, std::string_view name, char escape)
{
  const auto text = flag(instruction, name);
  return text ? literal(*text, escape) : std::nullopt;
}

// Names are looked up in the image; numbers are right or wrong by themselves.
void check_owner(const std::string& owner)
{
  if (owner.empty() || owner.find_first_not_of("0123456789:+-") != std::string::npos) return;
  try {
    resolve_user(owner, "", "");
  } catch (const Error& error) {
    throw error.within("--chown=" + owner).with_status(1);
  }
}

// ---- one function an instruction

void check_variables(const Instruction& instruction, char escape)
{
  for (const auto& [raw, value] : instruction.pairs)
    if (const auto name = literal(raw, escape)) check_variable_name(instruction, *name);
}

void check_ports(const Instruction& instruction, char escape)
{
  for (const std::string& raw : instruction.words)
    if (const auto word = literal(raw, escape)) ports_of(*word);
}

void check_not_empty(const Instruction& instruction, char escape)
{
  for (const std::string& raw : instruction.words)
    if (const auto word = literal(raw, escape); word && word->empty())
      throw Error{instruction.keyword + ": the value is empty"};
}

void check_stop_signal(const Instruction& instruction, char escape)
{
  if (const auto name = literal(instruction.text, escape)) stop_signal_of(*name);
}

void check_run(const Instruction& instruction, char /*escape*/)
{
  network_of(instruction);
  for (const std::string& text : flags(instruction, "mount")) check_mount(text);
}

void check_copy(const Instruction& instruction, char escape)
{
  if (const auto last = literal(instruction.words.back(), escape); last && last->empty())
    throw Error{instruction.keyword + ": the destination is empty"};
  for (const char* name : {"link", "parents", "unpack"}) switch_of(instruction, name, false);
  try {
    if (const auto mode = literal_flag(instruction, "chmod", escape)) FileMode{*mode};
    if (const auto owner = literal_flag(instruction, "chown", escape)) check_owner(*owner);
    if (const auto checksum = literal_flag(instruction, "checksum", escape)) check_checksum(*checksum);
  } catch (const Error& error) {
    throw error.within(instruction.keyword);
  }
}

void check_add(const Instruction& instruction, char escape)
{
  check_copy(instruction, escape);
  for (const std::string& raw : instruction.words)
    if (const auto word = literal(raw, escape); word && is_repository(*word))
      throw Error{"ADD: '" + visible(*word) + "' is a git repository, and those are not fetched", 0,
                  "clone it into the context, and COPY it"};
}

void check_from(const Instruction& instruction, char escape)
{
  if (const auto platform = literal_flag(instruction, "platform", escape)) check_platform(*platform);
}

struct Row {
  Verb verb;
  void (*check)(const Instruction&, char escape);
};
constexpr Row table[] = {
    {Verb::add, check_add},          {Verb::arg, check_variables},          {Verb::copy, check_copy},
    {Verb::env, check_variables},    {Verb::expose, check_ports},           {Verb::from, check_from},
    {Verb::run, check_run},          {Verb::stopsignal, check_stop_signal}, {Verb::user, check_not_empty},
    {Verb::volume, check_not_empty},
};

// ---- names of stages

void check_from_name(const Recipe& recipe, size_t stage)
{
  const auto reference = literal(recipe.stages[stage].from.words[0], recipe.escape);
  if (!reference || find_stage(recipe, *reference, stage)) return;
  if (reference->empty()) throw Error{"FROM: the name is empty"};
  normal_reference(*reference);
}

void check_step_names(const Recipe& recipe, size_t stage, const Instruction& instruction)
{
  if (const auto from = flag(instruction, "from")) check_source(recipe, stage, instruction, *from);
  if (instruction.verb != Verb::run) return;
  for (const std::string& text : flags(instruction, "mount"))
    if (!has_variable(text)) check_source(recipe, stage, instruction, parse_mount(text).from);
}

} // namespace

std::vector<std::string> ports_of(std::string_view text)
{
  const size_t slash = std::min(text.find('/'), text.size());
  std::string protocol = slash < text.size() ? std::string{text.substr(slash + 1)} : "tcp";
  std::transform(protocol.begin(), protocol.end(), protocol.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  const std::string_view numbers = text.substr(0, slash);
  const size_t dash = numbers.find('-');
  const auto first = port_of(numbers.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : port_of(numbers.substr(dash + 1));
  const bool known = protocol == "tcp" || protocol == "udp" || protocol == "sctp";
  if (!first || !last || *last < *first || !known)
    throw Error{"EXPOSE: '" + visible(text) + "' is no port", 0, "80, 53/udp or 8000-8010/tcp"};
  std::vector<std::string> ports;
  for (unsigned port = *first; port <= *last; ++port) ports.push_back(fmt::format("{}/{}", port, protocol));
  return ports;
}

std::string stop_signal_of(const std::string& text)
{
  const bool is_number = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  std::string upper = text;
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  if (!is_number && !upper.starts_with("SIG")) upper.insert(0, "SIG");
  if (!kernel::find_signal(upper))
    throw Error{"STOPSIGNAL: '" + visible(text) + "' is no signal", 0, "STOPSIGNAL SIGTERM"};
  return upper;
}

void check_platform(std::string_view platform)
{
  const std::string architecture = machine_architecture();
  std::string_view rest = platform;
  if (rest.starts_with("linux/")) rest.remove_prefix(6);
  std::string_view named = rest.substr(0, rest.find('/'));
  if (named == "x86_64" || named == "x86-64") named = "amd64";
  if (named == "aarch64") named = "arm64";
  if (platform != "local" && platform != "linux" && named != architecture)
    throw Error{"FROM: --platform=" + visible(platform) + " is another than this machine's", 0,
                "only linux/" + architecture + " can be built here"};
}

std::string network_of(const Instruction& instruction)
{
  const std::string network = flag(instruction, "network").value_or("");
  if (network.empty() || network == "default") return "";
  if (network == "internet" || network == "host" || network == "none") return network;
  throw Error{"RUN: --network=" + visible(network) + " is not possible", 0, "default, internet, none or host"};
}

void check_variable_name(const Instruction& instruction, std::string_view name)
{
  const bool good = !name.empty() && name.find_first_of(std::string_view{"=\0 \t\n", 5}) == std::string_view::npos;
  if (!good) throw Error{instruction.keyword + ": '" + visible(name) + "' is no name"};
}

bool switch_of(const Instruction& instruction, std::string_view name, bool fallback)
{
  const auto value = flag(instruction, name);
  if (!value) return fallback;
  if (value->empty() || *value == "true") return true;
  if (*value == "false") return false;
  throw Error{fmt::format("{}: --{}={} is neither true nor false", instruction.keyword, name, visible(*value))};
}

bool is_address(std::string_view word) { return word.starts_with("http://") || word.starts_with("https://"); }

bool is_repository(std::string_view word)
{
  const std::string_view path = word.substr(0, word.find_first_of("#?"));
  return word.starts_with("git://") || word.starts_with("ssh://") || word.starts_with("git@") ||
         (is_address(word) && path.ends_with(".git"));
}

void check_source(const Recipe& recipe, size_t stage, const Instruction& instruction, const std::string& from)
{
  if (from.empty() || find_stage(recipe, from, stage)) return;
  if (find_stage(recipe, from, recipe.stages.size()))
    throw Error{instruction.keyword + ": the stage '" + visible(from) + "' stands further down", 0,
                "a stage can take from those above it"};
  if (has_variable(from))
    throw Error{instruction.keyword + ": no variable can stand in --from", 0, "name a stage: FROM $IMAGE AS name"};
  try {
    normal_reference(from);
  } catch (const Error& error) {
    throw error.within(instruction.keyword);
  }
}

void check_values(const Instruction& instruction, char escape)
{
  for (const Row& row : table)
    if (row.verb == instruction.verb) return row.check(instruction, escape);
}

void check_names(const Recipe& recipe)
{
  for (size_t stage = 0; stage < recipe.stages.size(); ++stage) {
    const Instruction* at = &recipe.stages[stage].from;
    try {
      check_from_name(recipe, stage);
      for (const Instruction& step : recipe.stages[stage].steps) {
        at = &step;
        check_step_names(recipe, stage, step);
      }
    } catch (const Error& error) {
      throw error.within(place(recipe, *at));
    }
  }
}

} // namespace conductor::image
