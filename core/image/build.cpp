// build and obtain: what is asked for becomes a plan (which file, which context), a Builder runs it, and what it left
// becomes an image with a name.
#include "core/image/image.h"

#include "core/base/error.h"
#include "core/container/orphans.h"
#include "core/engine/networks.h"
#include "core/image/base.h"
#include "core/image/bases.h"
#include "core/image/builder.h"
#include "core/image/layers.h"
#include "core/image/pull.h"
#include "core/kernel/files.h"
#include "core/store/journal.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

namespace conductor::image {
namespace {

constexpr size_t longest_recipe = 1 << 20;

std::string read_recipe(const std::string& file)
{
  const Fd fd{open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (!fd) throw Error{"read the build file '" + visible(file, 200) + "'", errno};
  struct stat status {};
  if (fstat(fd.get(), &status) == 0 && S_ISDIR(status.st_mode))
    throw Error{"read the build file '" + visible(file, 200) + "'", EISDIR,
                "name the file; its directory is the context"};
  return kernel::read_all(fd.get(), "the build file '" + visible(file, 200) + "'", longest_recipe);
}

// ./Conductorfile, ./Dockerfile; none when neither is there.
std::optional<std::string> usual_file(const std::string& context)
{
  for (const char* name : {"Conductorfile", "Dockerfile"}) {
    std::string path = context.empty() ? name : context + "/" + name;
    if (access(path.c_str(), F_OK) == 0) return path;
  }
  return std::nullopt;
}

std::string directory_of(const std::string& file)
{
  const size_t slash = file.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : file.substr(0, slash);
}

struct Plan {
  Recipe recipe;
  std::string context; // empty: none
};

Plan plan(const Context& context, const BuildRequest& request)
{
  if (request.file == from_stdin) {
    std::string text = kernel::read_all(STDIN_FILENO, "the build file on stdin", longest_recipe);
    return {parse_recipe(text, "stdin"), request.context};
  }
  std::string file = request.file;
  if (file.empty()) file = usual_file("").value_or("");
  if (file.empty()) file = usual_file(request.context).value_or("");
  if (file.empty()) {
    const std::string text = "FROM " + context.config.default_base + "\n";
    return {parse_recipe(text, "default_base"), request.context};
  }
  return {parse_recipe(read_recipe(file), file), request.context.empty() ? directory_of(file) : request.context};
}

std::string checked_name(const std::string& name)
{
  std::string reference = normal_reference(name);
  if (reference.starts_with("id:"))
    throw usage_error("'" + visible(name) + "' is an id, and an image to be built needs a name");
  return reference;
}

// The id says what is in an image, so the same content is the same image, whenever it was built.
Image save(Context& context, StageState&& state, const std::string& reference)
{
  const Image image = make_image(context.root, std::move(state.layers), std::move(state.config), std::move(state.base));
  const Images images{context.root};
  Step step{context.trace, "name the image " + reference};
  images.save(image, reference);
  step.done();
  return images.load(reference);
}

void note(Context& context, const std::string& name, const char* outcome)
{
  try {
    append(context.root, {.name = name, .verb = context.verb.empty() ? "build" : context.verb, .outcome = outcome});
  } catch (const Error& error) {
    context.trace.notice(error.sentence());
  }
}

} // namespace

std::pair<std::string, Secret> parse_secret(std::string_view text)
{
  std::string id;
  Secret secret;
  const Error wrong =
      usage_error("'" + visible(text) + "' is no secret", "--secret id=NAME,src=FILE, or id=NAME,env=VARIABLE");
  std::string type;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view field = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(field.size() + 1, rest.size()));
    const size_t equals = field.find('=');
    if (equals == std::string_view::npos) throw Error{wrong};
    const std::string_view key = field.substr(0, equals);
    const std::string value{field.substr(equals + 1)};
    if (key == "id")
      id = value;
    else if (key == "src" || key == "source")
      secret.file = value;
    else if (key == "env")
      secret.variable = value;
    else if (key == "type" && (value == "file" || value == "env"))
      type = value;
    else
      throw Error{wrong};
  }
  if (id.empty() || (!secret.file.empty() && !secret.variable.empty())) throw Error{wrong};
  if (type == "env" && secret.variable.empty()) secret.variable = std::exchange(secret.file, {});
  if (secret.file.empty() && secret.variable.empty()) {
    if (type != "file" && getenv(id.c_str()) != nullptr)
      secret.variable = id;
    else
      secret.file = id;
  }
  return {id, secret};
}

int64_t parse_epoch(std::string_view text)
{
  int64_t seconds = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || seconds < 0 || seconds > 253402300799)
    throw usage_error("SOURCE_DATE_EPOCH '" + visible(text) + "' is no number of seconds since 1970");
  return seconds;
}

Image build(Context& context, const BuildRequest& request)
{
  const std::string reference = checked_name(request.name);
  const Plan planned = plan(context, request);
  const Images images{context.root};
  sweep_orphans(context.root, links_of(context)); // of a build that was killed
  const Fd hold = images.hold_layers();
  try {
    Builder builder{context, request, planned.recipe, planned.context, reference};
    const Image image = save(context, builder.run(), reference);
    note(context, reference, "done");
    const nlohmann::json result{{"name", reference},
                                {"id", image.id},
                                {"layers", image.layers},
                                {"size_bytes", images.size(image)},
                                {"base", image.base},
                                {"steps", builder.steps()},
                                {"cached_steps", builder.cached_steps()}};
    context.trace.result(result.dump());
    return image;
  } catch (const Error&) {
    note(context, reference, "failed");
    throw;
  }
}

Image obtain(Context& context, const std::string& reference, Refresh refresh)
{
  const Images images{context.root};
  if (refresh == Refresh::missing)
    if (auto local = images.find(reference)) return std::move(*local);
  const auto base = known_base(reference);
  if (!base)
    return refresh == Refresh::always ? pull(context, {.reference = reference}).image
                                      : pull_missing(context, reference);
  if (base->kind == BaseKind::scratch) throw Error{"scratch is empty: it can only be built on, FROM scratch"};
  const Fd hold = images.hold_layers();
  return save(context, begin_from(context, reference), normal_reference(reference));
}

} // namespace conductor::image
