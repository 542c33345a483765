// Fuzzing the parser of build files, its words and variables, ignore files, apt's sources, names of images and the
// configuration: any bytes give a value or an Error, never anything else, and what was parsed can be shown.
#include "core/container/health.h"
#include "core/image/apt.h"
#include "core/image/base.h"
#include "core/image/health.h"
#include "core/image/ignore.h"
#include "core/image/recipe.h"
#include "core/image/run_mount.h"
#include "core/image/words.h"
#include "core/store/config.h"
#include "core/store/images.h"
#include "fuzz/fuzzing.h"

namespace {

using namespace conductor;
using namespace conductor::fuzz;
using namespace conductor::image;

void look_at(const Recipe& recipe)
{
  if (recipe.stages.empty()) fail("a recipe without a stage was accepted");
  for (const Stage& stage : recipe.stages) {
    for (const Instruction& instruction : stage.steps) {
      for (const char c : title(instruction))
        if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') fail("a title holds a control character");
      if (instruction.line == 0) fail("an instruction has no line");
      for (const std::string& word : instruction.words)
        either_way([&] { expand(word, {"A=1", "B=", "P=a/b.c.d"}, recipe.escape); });
      for (const std::string& text : flags(instruction, "mount")) either_way([&] { parse_mount(text); });
      for (const Heredoc& heredoc : instruction.heredocs) {
        if (heredoc.name.empty()) fail("a here-document has no name");
        if (chomped(heredoc).size() > heredoc.content.size()) fail("a here-document grew");
        either_way([&] { expand_text(heredoc.content, {"A=1"}, recipe.escape); });
      }
      if (instruction.verb == Verb::healthcheck && parse_health_check(instruction).test.empty())
        fail("a health check tests nothing");
      if (instruction.verb == Verb::onbuild) parse_trigger(instruction.text, recipe.escape); // was accepted once
    }
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  either_way([&] { look_at(parse_recipe(text, "F")); });
  either_way([&] { look_at(parse_recipe("FROM scratch\n" + std::string{text}, "F")); });
  either_way([&] { parse_config(text, "c"); });
  either_way([&] { find_base(text); });
  either_way([&] {
    const std::string reference = normal_reference(text);
    if (!reference.starts_with("id:") && normal_reference(reference) != reference) fail("a reference is not stable");
    if (reference_file(reference).find('/') != std::string::npos) fail("a reference is no file name");
    if (reference_of_file(reference_file(reference)) != reference) fail("a reference does not come back");
  });
  const Ignore ignore{text};
  ignore.covers("a/b/c");
  // What a directory's pattern covers it covers below, unless something is taken back.
  if (!ignore.has_exceptions() && ignore.covers("a/b") && !ignore.covers("a/b/c")) fail("a directory does not cover");
  either_way([&] { parse_mount(text); });
  either_way([&] { parse_duration(text); });
  either_way([&] { expand(text, {"A=1", "B=", "P=a/b.c.d"}, '\\'); });
  bool climbs = false;
  const std::string clean = clean_path(text, climbs);
  if (clean == ".." || clean.starts_with("../") || clean.starts_with('/')) fail("a clean path climbs");
  parse_deb822_sources(text);
  parse_one_line_sources(text);
  return 0;
}
