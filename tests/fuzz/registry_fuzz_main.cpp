// Drives the fuzz target of registries without libFuzzer: it changes the seeds, and strings together pieces that the
// parsers know, and noise.
//
//     conductor-fuzz-registry SECONDS [SEED] [FILE...]     files are run first, as they are, and are changed then
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

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

using Random = std::mt19937_64;

std::string invent(Random& random)
{
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

// A seed with a few bytes changed, cut, repeated or replaced by pieces.
std::string change(Random& random, std::string text)
{
  for (std::size_t changes = 1 + random() % 4; changes > 0 && !text.empty(); --changes) {
    const std::size_t at = random() % text.size();
    switch (random() % 5) {
    case 0: text[at] = static_cast<char>(random()); break;
    case 1: text.erase(at, random() % 8); break;
    case 2: text.insert(at, pieces[random() % std::size(pieces)]); break;
    case 3: text.insert(at, text.substr(random() % text.size(), random() % 64)); break;
    default: text.resize(at); break;
    }
  }
  return text;
}

void run(const std::string& text)
{
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
}

} // namespace

int main(int argc, char** argv)
{
  const int seconds = argc > 1 ? std::atoi(argv[1]) : 5;
  Random random{argc > 2 ? std::strtoull(argv[2], nullptr, 10) : std::random_device{}()};
  std::vector<std::string> seeds;
  for (int i = 3; i < argc; ++i) {
    std::ifstream file{argv[i], std::ios::binary};
    seeds.emplace_back(std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{});
    run(seeds.back());
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{seconds};
  unsigned long runs = 0;
  for (; std::chrono::steady_clock::now() < end; ++runs)
    run(seeds.empty() || random() % 2 == 0 ? invent(random) : change(random, seeds[random() % seeds.size()]));
  std::printf("%lu inputs\n", runs);
  return 0;
}
