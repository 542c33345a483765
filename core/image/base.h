// Names of images that this program can make by itself: debian, ubuntu, busybox, scratch. One table.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::image {

enum class BaseKind : char { distribution, busybox, scratch };

struct Base {
  BaseKind kind{};
  std::string name;  // "debian", "ubuntu", "busybox", "scratch"
  std::string suite; // of a distribution: "bookworm"
  bool slim = false; // without documentation
  // "debian:bookworm", "debian:bookworm-slim", "busybox:latest": every way to write a base leads to one text.
  std::string reference() const;
};

// "debian", "debian:12", "debian:bookworm-slim", "docker.io/library/ubuntu:22.04" -> the base; none for names that are
// no base at all. Throws Error for a tag that the table does not have (the hint is the nearest).
std::optional<Base> find_base(std::string_view reference);

// The same, none for an unknown tag too: that may be a registry's.
std::optional<Base> known_base(std::string_view reference);

// The suites of a distribution, newest last.
std::vector<std::string> suites_of(std::string_view distribution);

} // namespace conductor::image
