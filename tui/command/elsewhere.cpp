// What other versions and other programs have and this one does not: rows, and the sentence that answers each.
#include "tui/command/verbs.h"

#include <algorithm>
#include <iterator>

namespace conductor::command {
namespace {

// Verbs and options of the contract that come with later versions.
constexpr std::string_view absent_verbs[] = {"update"};

constexpr Elsewhere absent_options[] = {{"run", "--restart", ""}, {"create", "--restart", ""}};

constexpr std::string_view ports =
    "a port is published by --expose INNER-OUTER: --expose 80-8080 for docker's -p 8080:80";

// What hands that are used to other programs type.
constexpr Elsewhere elsewhere[] = {
    {"run", "-e", "an environment variable is --env K=V"},
    {"create", "-e", "an environment variable is --env K=V"},
    {"exec", "-e", "an environment variable is --env K=V"},
    {"run", "-p", ports},
    {"create", "-p", ports},
    {"run", "--publish", ports},
    {"create", "--publish", ports},
    {"addnetwork", "-p", "a port is published by -e INNER-OUTER: -e 80-8080 for docker's -p 8080:80"},
    {"addnetwork", "--publish", "a port is published by -e INNER-OUTER: -e 80-8080 for docker's -p 8080:80"},
    {"run", "--name", "the name stands behind the image: conductor run IMAGE NAME"},
    {"create", "--name", "the name stands behind the image: conductor create IMAGE NAME"},
    {"run", "--pids-limit", "did you mean '--pids'?"},
    {"create", "--pids-limit", "did you mean '--pids'?"},
    {"run", "--net", "did you mean '--network'?"},
    {"run", "--privileged", "there is no such switch: give what is needed with --cap-add, --device, --seccomp"},
    {"build", "-t", "the name stands behind the verb: conductor build NAME [FILE]"},
    {"build", "--tag", "the name stands behind the verb: conductor build NAME [FILE]"},
    {"build", "-f", "the file stands behind the name: conductor build NAME FILE"},
    {"build", "--file", "the file stands behind the name: conductor build NAME FILE"},
    {"list", "", "did you mean 'ps' or 'images'?"},
    {"ls", "", "did you mean 'ps' or 'images'?"},
    {"container", "", "the verbs stand alone: conductor ps, conductor rm"},
    {"image", "", "the verbs stand alone: conductor images, conductor rmi"},
    {"network", "", "did you mean 'networks', 'addnetwork' or 'peer'?"},
    {"port", "", "conductor networks shows the ports of each container"},
    {"shell", "", "did you mean 'exec'?"},
    {"delete", "", "did you mean 'rm' or 'rmi'?"},
    {"remove", "", "did you mean 'rm' or 'rmi'?"},
    {"info", "", "did you mean 'doctor' or 'config'?"},
};

} // namespace

const Elsewhere* find_elsewhere(std::string_view verb, std::string_view option)
{
  for (const Elsewhere& row : elsewhere)
    if (row.verb == verb && row.option == option) return &row;
  return nullptr;
}

bool is_absent(std::string_view verb)
{
  return std::find(std::begin(absent_verbs), std::end(absent_verbs), verb) != std::end(absent_verbs);
}

bool is_absent_option(std::string_view verb, std::string_view option)
{
  return std::any_of(std::begin(absent_options), std::end(absent_options),
                     [&](const Elsewhere& row) { return row.verb == verb && row.option == option; });
}

} // namespace conductor::command
