// Seccomp profiles: entries of known words and of wrong ones, or a profile that somebody has damaged.
#include "fuzz/fuzzing.h"

namespace conductor::fuzz {
namespace {

constexpr std::string_view pieces[] = {
    "\"SCMP_ACT_ALLOW\"",
    "\"SCMP_ACT_ERRNO\"",
    "\"SCMP_ACT_NOTIFY\"",
    "\"SCMP_ACT_TRACE\"",
    "\"SCMP_CMP_MASKED_EQ\"",
    "\"SCMP_CMP_LE\"",
    "\"errnoRet\": 5,",
    "\"errno\": \"EIO\",",
    "\"args\": [",
    "\"includes\": {",
    "\"excludes\": {",
    "\"caps\": [",
    "\"minKernel\": ",
    "\"4.8\"",
    "\"arches\": [\"amd64\"]",
    "null",
    "[",
    "]",
    "{",
    "}",
    ",",
    "18446744073709551615",
    "-1",
    "1e9",
    "\"read\"",
    "\"\\u001b[31m\"",
    "\"index\": 6",
    "\"architectures\": []",
    "\"flags\": [\"",
    "\xff",
};
constexpr std::string_view actions[] = {"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL",  "SCMP_ACT_TRAP",
                                        "SCMP_ACT_TRACE", "SCMP_ACT_LOG",   "SCMP_ACT_NOTIFY"};
constexpr std::string_view calls[] = {"read", "write", "clone", "personality", "socket", "no_such_call", "\x1b"};
constexpr std::string_view comparisons[] = {"EQ", "NE", "LT", "LE", "GT", "GE", "MASKED_EQ", "IS"};

template <class List>
std::string quoted(Random& random, const List& list)
{
  return "\"" + std::string{one_of(random, list)} + "\"";
}

std::string argument(Random& random)
{
  return "{\"index\": " + std::to_string(below(random, 7)) + ", \"value\": " + std::to_string(random()) +
         ", \"valueTwo\": " + std::to_string(random() >> below(random, 64)) + ", \"op\": \"SCMP_CMP_" +
         std::string{one_of(random, comparisons)} + "\"}";
}

std::string entry(Random& random)
{
  std::string text = "{\"names\": [" + quoted(random, calls);
  while (!one_in(random, 3)) text += ", " + quoted(random, calls);
  text += "], \"action\": " + quoted(random, actions);
  if (one_in(random, 3)) text += ", \"errnoRet\": " + std::to_string(below(random, 5000));
  if (one_in(random, 2)) {
    text += ", \"args\": [" + argument(random);
    while (!one_in(random, 2)) text += ", " + argument(random);
    text += "]";
  }
  if (one_in(random, 3)) text += R"(, "includes": {"caps": ["CAP_SYS_ADMIN"], "minKernel": "4.8"})";
  return text + "}";
}

} // namespace

std::string invent(Random& random, const Seeds& seeds)
{
  if (!seeds.empty() && one_in(random, 3)) return changed(random, one_of(random, seeds), pieces);
  std::string text = "{\"defaultAction\": " + quoted(random, actions) + ", \"syscalls\": [";
  for (std::size_t count = below(random, 40); count > 0; --count) text += entry(random) + (count > 1 ? ", " : "");
  text += "]}";
  return one_in(random, 2) ? text : changed(random, std::move(text), pieces);
}

} // namespace conductor::fuzz
