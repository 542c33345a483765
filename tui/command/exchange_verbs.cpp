// save, load, export, import, commit, cp: what only the images program does. One function, since the verb says which.
#include "core/base/error.h"
#include "core/image/exchange.h"
#include "tui/command/making_images.h"
#include "tui/command/text.h"
#include "tui/command/values.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace conductor::command {
namespace {

using Json = nlohmann::ordered_json;

// Text for people stands on stdout, unless the archive does.
void print_beside(Invocation& invocation, const std::string& file, const std::string& text)
{
  if (!file.empty() && file != "-") invocation.print(text);
}

// The document of --json would end up in the archive.
std::string output_file(const Invocation& invocation)
{
  std::string file = invocation.value("output").value_or("");
  if (file == "-") file.clear();
  if (file.empty() && (invocation.json() || invocation.value("events") == "1"))
    throw usage_error("the archive and the document cannot both go to stdout", "write the archive to a file: -o FILE");
  return file;
}

int save(Invocation& invocation)
{
  image::SaveRequest request{.references = invocation.names(), .file = output_file(invocation)};
  if (const auto format = invocation.value("format"))
    request.format = parse_choice(*format, "--format", "oci|docker") == "docker" ? image::ArchiveFormat::docker
                                                                                 : image::ArchiveFormat::oci;
  if (request.format == image::ArchiveFormat::docker && request.file.ends_with('/'))
    throw usage_error("docker's archive is a file, no directory");
  const image::Saved saved = image::save_images(invocation.context(), request);
  for (const std::string& name : saved.names) print_beside(invocation, request.file, name + "\n");
  invocation.result(Json{{"names", saved.names}, {"bytes", saved.bytes}}.dump());
  return 0;
}

int load(Invocation& invocation)
{
  image::LoadRequest request{.file = invocation.value("input").value_or(""),
                             .name = invocation.value("name").value_or("")};
  if (!invocation.names().empty()) request.file = invocation.names()[0];
  Json list = Json::array();
  for (const image::Loaded& each : image::load_images(invocation.context(), request)) {
    invocation.print(
        fmt::format("{}  {}{}\n", each.name, each.image.id.substr(0, 12), each.is_new ? "" : "  (was here)"));
    list.push_back({{"name", each.name}, {"id", each.image.id}, {"new", each.is_new}, {"layers", each.image.layers}});
  }
  invocation.result(list.dump());
  return 0;
}

int export_files(Invocation& invocation)
{
  const image::ExportRequest request{.name = invocation.names()[0], .file = output_file(invocation)};
  const uint64_t bytes = image::export_tree(invocation.context(), request);
  print_beside(invocation, request.file, fmt::format("{}  {}\n", request.file, short_size(bytes)));
  invocation.result(Json{{"bytes", bytes}}.dump());
  return 0;
}

int made(Invocation& invocation, const std::string& name, const Image& image)
{
  const std::string reference = normal_reference(name);
  invocation.print(reference + "  " + image.id.substr(0, 12) + "\n");
  invocation.result(Json{{"name", reference}, {"id", image.id}, {"layers", image.layers}}.dump());
  return 0;
}

int import(Invocation& invocation)
{
  const auto& names = invocation.names();
  return made(invocation, names[1], image::import_tree(invocation.context(), {.file = names[0], .name = names[1]}));
}

int commit(Invocation& invocation)
{
  const auto& names = invocation.names();
  const image::CommitRequest request{.container = names[0],
                                     .name = names[1],
                                     .pause = !invocation.has("no-pause"),
                                     .author = invocation.value("author").value_or(""),
                                     .message = invocation.value("message").value_or("")};
  return made(invocation, request.name, image::commit_container(invocation.context(), request));
}

struct Row {
  std::string_view verb;
  int (*run)(Invocation&);
};
constexpr Row rows[] = {{"save", save},     {"load", load},     {"export", export_files},
                        {"import", import}, {"commit", commit}, {"cp", copy_files}};

} // namespace

int exchange_images(Invocation& invocation)
{
  for (const Row& row : rows)
    if (row.verb == invocation.arguments().verb->name) return row.run(invocation);
  throw Error{"the images program does not know this verb"};
}

} // namespace conductor::command
