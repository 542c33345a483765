// What a step of a build depends on, part by part: hashed, it is the step's key in the cache; written down, it lets the
// next build say why a step has to be made again ("app/f17 changed").
#pragma once

#include "core/store/root.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::image {

class StepInputs {
public:
  enum class Kind : char {
    parent = 'p',      // the layers below
    instruction = 'i', // its canonical text
    argument = 'a',    // ARG in sight: name, value
    variable = 'e',    // ENV in sight
    setting = 's',     // user, working directory, network ...: name, value
    file = 'f'         // what COPY takes: path, fingerprint
  };
  struct Part {
    Kind kind{};
    std::string name, value;
    bool operator==(const Part&) const = default;
  };

  void add(Kind kind, std::string name, std::string value);
  // 64 hex digits over all parts in their order.
  std::string key() const;
  const std::vector<Part>& parts() const { return parts_; }

private:
  std::vector<Part> parts_;
};

struct StepRecord {
  std::string place; // which step of the file it is: "stage 0, step 3"
  std::string key;
  std::vector<StepInputs::Part> parts;
};

// What differs, in words for the user, the first cause first: "the parent changed", "ARG VERSION is 2, was 1",
// "app/f17 changed", "app/f17 and 3 others changed". Empty: nothing does.
std::string difference(const std::vector<StepInputs::Part>& before, const std::vector<StepInputs::Part>& now);

// The steps of one build, compared with those of the build of the same name before. In root/build/steps-<hash>.
class StepRecords {
public:
  // name: of the image and of its build file.
  StepRecords(const Root& root, std::string_view name);
  // Why the step at that place is not in the cache.
  std::string why(const std::string& place, const StepInputs& inputs);
  void note(const std::string& place, std::string key, const StepInputs& inputs);
  // Writes down what was noted, where it differs from before. whole: the build came to its end, so that what it did not
  // note is no step any more. A failure is told as a notice.
  void save(bool whole);

private:
  const std::vector<StepRecord>& before();
  const StepRecord* find(const std::string& place, const StepInputs& inputs);

  const Root& root_;
  std::string path_;
  std::string text_; // of the file before
  std::optional<std::vector<StepRecord>> before_;
  std::vector<StepRecord> now_;
};

} // namespace conductor::image
