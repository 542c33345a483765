// cp: which of the two words is in a container, and what is told of the copy.
#include "core/base/error.h"
#include "core/image/copy_files.h"
#include "tui/command/making_images.h"
#include "tui/command/text.h"
#include "tui/command/values.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace conductor::command {
namespace {

using Json = nlohmann::ordered_json;

// One word, as docker reads it: what begins with '/' or '.' is on this host, else NAME:PATH is in a container.
struct Word {
  std::string container; // empty: on this host
  std::string path;
};

Word word_of(const std::string& text)
{
  if (text.empty()) throw usage_error("cp: an empty word is no path");
  if (text.front() == '/' || text.front() == '.') return {"", text};
  const size_t colon = text.find(':', text.starts_with("id:") ? 3 : 0);
  if (colon == std::string::npos) return {"", text};
  Word word{text.substr(0, colon), text.substr(colon + 1)};
  if (word.container.empty()) throw usage_error("'" + visible(text) + "' names no container");
  if (word.path.empty())
    throw usage_error("'" + visible(text) + "' names no path in the container",
                      "its whole tree is " + visible(text) + "/");
  return word;
}

void check(const Invocation& invocation, const Word& from, const Word& to)
{
  if (from.container.empty() && to.container.empty())
    throw usage_error("cp copies out of a container or into one, and neither word names one",
                      "a path in a container is NAME:PATH");
  if (!from.container.empty() && !to.container.empty())
    throw usage_error("cp does not copy from one container to another",
                      fmt::format("conductor cp {}:{} - | conductor cp - {}:DIRECTORY", visible(from.container),
                                  visible(from.path), visible(to.container)));
  if (to.path == "-" && (invocation.json() || invocation.value("events") == "1"))
    throw usage_error("the archive and the document cannot both go to stdout", "write the archive to a file");
}

} // namespace

int copy_files(Invocation& invocation)
{
  const auto& names = invocation.names();
  const Word from = word_of(names[0]), to = word_of(names[1]);
  check(invocation, from, to);
  const bool into = from.container.empty();
  const Word& inside = into ? to : from;
  const Word& outside = into ? from : to;
  const image::CopyRequest request{.id = invocation.resolve(inside.container),
                                   .inside = inside.path,
                                   .outside = outside.path == "-" ? "-" : absolute_path(outside.path, "cp"),
                                   .into = into,
                                   .archive = invocation.has("archive"),
                                   .follow = invocation.has("follow-link")};
  const image::Copied copied = image::copy_files(invocation.context(), request);
  if (to.path != "-")
    invocation.print(fmt::format("{}  {} {}, {}\n", names[1], copied.entries, copied.entries == 1 ? "file" : "files",
                                 short_size(copied.bytes)));
  invocation.result(
      Json{{"from", names[0]}, {"to", names[1]}, {"entries", copied.entries}, {"bytes", copied.bytes}}.dump());
  return 0;
}

} // namespace conductor::command
