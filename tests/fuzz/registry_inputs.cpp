// What registries say: pieces of headers, addresses, manifests and credential files strung together.
#include "fuzz/fuzzing.h"

namespace conductor::fuzz {
namespace {

constexpr std::string_view pieces[] = {
    "Bearer ",
    "Basic ",
    "realm=\"",
    "service=\"",
    "scope=\"",
    "\"",
    ", ",
    ",",
    "=",
    "\\\"",
    "https://",
    "http://",
    "a.b",
    "host:5000",
    "[::1]",
    ":0",
    ":99999",
    "@",
    "/",
    "//",
    "..",
    "?a=b",
    "#x",
    "\\",
    "%2F",
    "{",
    "}",
    "[",
    "]",
    ":",
    "\"schemaVersion\": 2",
    "\"schemaVersion\": 1",
    "\"mediaType\": ",
    "\"digest\": ",
    "\"size\": ",
    "\"layers\": [",
    "\"config\": {",
    "\"manifests\": [",
    "\"platform\": {\"os\": \"linux\", \"architecture\": \"amd64\"}",
    "\"urls\": []",
    "\"application/vnd.oci.image.manifest.v1+json\"",
    "\"application/vnd.oci.image.index.v1+json\"",
    "\"application/vnd.oci.image.config.v1+json\"",
    "\"application/vnd.oci.image.layer.v1.tar+gzip\"",
    "\"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"",
    "sha256:",
    "-1",
    "1e99",
    "null",
    "18446744073709551616",
    "\"auths\": {",
    "\"auth\": \"dXNlcjpzZWNyZXQ=\"",
    "\"credsStore\": \"x\"",
    "\"credHelpers\": {\"host:5000\": \"x\"}",
    "web",
    ":latest",
    "@sha256:",
    "\x1f\x8b\x08",
    "\x28\xb5\x2f\xfd",
    std::string_view{"\0", 1},
    "\xff",
    "\x1b",
    "\n",
};

} // namespace

std::string invent(Random& random, const Seeds& seeds)
{
  if (!seeds.empty() && one_in(random, 2)) return changed(random, one_of(random, seeds), pieces);
  std::string text;
  for (std::size_t parts = 1 + random() % 30; parts > 0; --parts) {
    std::string piece{pieces[random() % std::size(pieces)]};
    const auto dice = random() % 12;
    if (dice == 0) piece.resize(random() % (piece.size() + 1));
    if (dice == 1 && !piece.empty()) piece[random() % piece.size()] = static_cast<char>(random());
    text += piece;
    if (dice == 2) text += text.substr(random() % text.size());
    if (text.size() > 20'000) break;
  }
  return text;
}

} // namespace conductor::fuzz
