// conductor-console: the screen. `conductor` without a verb, and `conductor console`, execute it with what was typed.
#include "core/base/error.h"
#include "net/network.h"
#include "tui/console/app.h"
#include "tui/console/plain.h"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace {

using conductor::Error;

std::string environment(const char* name, const char* otherwise)
{
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

// The global options that matter here, and those of `console`. What is wrong with the others, `conductor` has said.
struct Wish {
  conductor::console::Options options;
  bool plain = false;
};

Wish wish_from(const std::vector<std::string>& words)
{
  Wish wish;
  conductor::console::Options& options = wish.options;
  options.place = {environment("CONDUCTOR_ROOT", "/var/lib/conductor"), environment("CONDUCTOR_RUN", "/run/conductor"),
                   conductor::make_network};
  std::string config;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string name = words[i].substr(0, words[i].find('='));
    const bool attached = name.size() < words[i].size();
    const auto value = [&]() -> std::string {
      if (attached) return words[i].substr(name.size() + 1);
      if (i + 1 == words.size()) throw conductor::usage_error(name + " needs a value");
      return words[++i];
    };
    if (name == "--root")
      options.place.root_path = value();
    else if (name == "--run")
      options.place.run_path = value();
    else if (name == "--config")
      config = value();
    else if (name == "--theme")
      options.theme = value();
    else if (name == "--read-only")
      options.read_only = true;
    else if (name == "--plain")
      wish.plain = true;
    else if (name == "--no-color")
      setenv("NO_COLOR", "1", 1);
    else if (name == "--wait" || name == "--events" || name == "--gate")
      value(); // of verbs
    else if (name != "console" && name != "demo" && name != "--explain" && name != "--json")
      throw conductor::usage_error("the console does not know '" + words[i] + "'",
                                   "conductor console [--read-only] [--plain] [--theme NAME]");
  }
  std::vector<std::string> common{"--root", options.place.root_path, "--run", options.place.run_path};
  if (!config.empty()) common.insert(common.end(), {"--config", config});
  conductor::console::set_common_arguments(std::move(common));
  return wish;
}

} // namespace

int main(int argc, char** argv)
{
  try {
    auto [options, plain] = wish_from({argv + 1, argv + argc});
    conductor::need_root("conductor");
    if (plain) return conductor::console::run_plain(options.place, options.read_only);
    return conductor::console::App{std::move(options)}.run();
  } catch (const Error& error) {
    std::fprintf(stderr, "conductor: %s\n", error.what());
    if (!error.hint().empty()) std::fprintf(stderr, "hint: %s\n", std::string{error.hint()}.c_str());
    return error.status();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "conductor: %s\n", error.what());
    return 1;
  }
}
