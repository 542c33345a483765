// build, and getting an image that a run needs.
#include "tui/command/making_images.h"

#include "core/image/image.h"
#include "tui/command/values.h"

#include <cstdlib>

#include <nlohmann/json.hpp>

namespace conductor::command {

int build_image(Invocation& invocation)
{
  image::BuildRequest request{.name = invocation.names()[0]};
  if (invocation.names().size() > 1) request.file = invocation.names()[1];
  request.context = invocation.value("context").value_or("");
  request.target = invocation.value("target").value_or("");
  request.no_cache = invocation.has("no-cache");
  if (const auto text = invocation.value("network"))
    request.network = parse_choice(*text, "--network", "none|host|internet");
  for (const std::string& text : invocation.arguments().values("build-arg")) {
    auto [key, value] = parse_pair(text, "--build-arg");
    request.build_args[key] = value;
  }
  for (const std::string& text : invocation.arguments().values("secret"))
    request.secrets.insert(image::parse_secret(text));
  // The convention of reproducible builds: an argument of the build, else the environment.
  const auto given = request.build_args.find("SOURCE_DATE_EPOCH");
  const char* environment = getenv("SOURCE_DATE_EPOCH");
  if (given != request.build_args.end())
    request.source_date_epoch = image::parse_epoch(given->second);
  else if (environment != nullptr && *environment != '\0')
    request.source_date_epoch = image::parse_epoch(environment);
  const Image image = image::build(invocation.context(), request);
  const std::string name = normal_reference(request.name);
  invocation.print(name + "  " + image.id.substr(0, 12) + "\n");
  nlohmann::ordered_json document{{"name", name}, {"id", image.id}, {"layers", image.layers}};
  invocation.result(document.dump());
  return 0;
}

void obtain_image(Invocation& invocation, const std::string& reference, bool refresh)
{
  image::obtain(invocation.context(), reference, refresh ? image::Refresh::always : image::Refresh::missing);
}

} // namespace conductor::command
