// Names of images: [HOST[:PORT]/]PATH[/PATH...][:TAG][@DIGEST], as the OCI distribution specification has them. A name
// that has passed here is safe as a file name once '/' is '%2F': no "..", no leading dot, no control characters.
#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/store/images.h"

#include <algorithm>

namespace conductor {
namespace {

constexpr size_t longest_reference = 200;
constexpr size_t longest_file_name = 255;
constexpr size_t longest_tag = 128;

bool is_lower(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

std::string lowered(std::string_view text)
{
  std::string out{text};
  for (char& c : out)
    if (is_upper(c)) c = static_cast<char>(c - 'A' + 'a');
  return out;
}

// [a-z0-9]+([._-]+[a-z0-9]+)*, and no "..": nothing that could climb.
bool is_component(std::string_view part)
{
  if (part.empty() || !is_lower(part.front()) || !is_lower(part.back())) return false;
  if (part.find("..") != std::string_view::npos) return false;
  return std::all_of(part.begin(), part.end(), [](char c) { return is_lower(c) || c == '.' || c == '_' || c == '-'; });
}

bool is_host(std::string_view part)
{
  const size_t colon = part.find(':');
  if (colon == std::string_view::npos) return is_component(part);
  const std::string_view port = part.substr(colon + 1);
  return is_component(part.substr(0, colon)) && !port.empty() && port.size() <= 5 &&
         std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_tag(std::string_view tag)
{
  if (tag.empty() || tag.size() > longest_tag || tag.front() == '.' || tag.front() == '-') return false;
  return std::all_of(tag.begin(), tag.end(),
                     [](char c) { return is_lower(c) || is_upper(c) || c == '.' || c == '_' || c == '-'; });
}

// Of the algorithms there are only sha256 is in use; what cannot be checked is no name either.
bool is_digest(std::string_view digest)
{
  constexpr std::string_view algorithm = "sha256:";
  return digest.size() == algorithm.size() + 64 && digest.starts_with(algorithm) &&
         digest.find_first_not_of("0123456789abcdef", algorithm.size()) == std::string_view::npos;
}

bool is_path(std::string_view path, bool may_have_host)
{
  bool first = true;
  for (;;) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    const bool last = slash == std::string_view::npos;
    if (!(first && !last && may_have_host ? is_host(part) : is_component(part))) return false;
    if (last) return true;
    path.remove_prefix(slash + 1);
    first = false;
  }
}

} // namespace

std::string normal_reference(std::string_view text)
{
  constexpr const char* shape = "names of images look like web, web:2 or team/web:latest";
  if (text.empty()) throw usage_error("the name of an image is empty", shape);
  if (text.substr(0, text.find('@')).size() > longest_reference)
    throw usage_error("the image name '" + visible(text) + "' has " + std::to_string(text.size()) +
                      " characters; at most " + std::to_string(longest_reference) + " are possible");
  if (text.starts_with("id:")) {
    const std::string_view hex = text.substr(3);
    const bool good = hex.size() >= 8 && hex.size() <= 64 && std::all_of(hex.begin(), hex.end(), [](char c) {
                        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                      });
    if (!good) throw usage_error("'" + visible(text) + "' is no id", "an id is id: and 8 to 64 digits 0-9, a-f");
    return std::string{text};
  }
  // A digest names one image for good, so a tag in front of it says nothing more.
  if (const size_t at = text.find('@'); at != std::string_view::npos) {
    const std::string_view digest = text.substr(at + 1);
    if (!is_digest(digest))
      throw usage_error("'" + visible(digest) + "' is no digest", "a digest is sha256: and 64 digits 0-9, a-f");
    const std::string named = normal_reference(text.substr(0, at));
    std::string whole = named.substr(0, named.rfind(':')) + "@" + std::string{digest};
    if (named.starts_with("id:") || reference_file(whole).size() > longest_file_name)
      throw usage_error("'" + visible(text) + "' is no name of an image", shape);
    return whole;
  }
  // A colon after the last slash begins the tag; one before it belongs to the port of a registry.
  const size_t slash = text.rfind('/');
  const size_t colon = text.find(':', slash == std::string_view::npos ? 0 : slash);
  const std::string_view path = text.substr(0, colon);
  const std::string_view tag = colon == std::string_view::npos ? "latest" : text.substr(colon + 1);
  if (is_path(path, true) && is_tag(tag)) return std::string{path} + ":" + std::string{tag};
  const std::string lower = lowered(path);
  if (is_path(lower, true) && is_tag(tag))
    throw usage_error("the image name '" + visible(text) + "' has upper-case letters",
                      "write '" + lower + (colon == std::string_view::npos ? "" : ":" + std::string{tag}) + "'");
  throw usage_error("'" + visible(text) + "' is no name of an image", shape);
}

std::string reference_file(std::string_view reference)
{
  std::string out;
  for (const char c : reference) {
    if (c == '/')
      out += "%2F";
    else
      out += c;
  }
  return out;
}

std::string reference_of_file(std::string_view file)
{
  std::string out;
  while (!file.empty()) {
    const bool slash = file.starts_with("%2F");
    out += slash ? '/' : file.front();
    file.remove_prefix(slash ? 3 : 1);
  }
  return out;
}

} // namespace conductor
