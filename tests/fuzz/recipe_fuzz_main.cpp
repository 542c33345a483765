// Drives the fuzz target of build files without libFuzzer: it strings together pieces that the parsers know, and noise.
//
//     conductor-fuzz-recipe SECONDS [SEED] [FILE...]     files are run first, as they are, then in pieces
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
    "FROM ",
    "scratch",
    "debian:12",
    " AS x",
    "\n",
    "\n\n",
    "\r\n",
    "COPY ",
    "--from=x ",
    "--chown=1:2 ",
    "a b ",
    "RUN ",
    "ENV ",
    "LABEL ",
    "ARG ",
    "CMD ",
    "ENTRYPOINT ",
    "WORKDIR ",
    "USER ",
    "SHELL ",
    "[\"a\", \"b\"]",
    "['a']",
    "[",
    "]",
    "\\\n",
    "\\",
    "# ",
    "# escape=`\n",
    "`\n",
    "\"",
    "'",
    "$A",
    "${A}",
    "${A:-",
    "${A:+x}",
    "${",
    "}",
    "A=1 ",
    "=",
    " ",
    "\t",
    "<<EOF",
    "<<-\"E F\"",
    "EOF\n",
    "E F\n",
    "ONBUILD ",
    "ADD ",
    "HEALTHCHECK ",
    "--interval=1m2.5s ",
    "--checksum=sha256:",
    "--exclude=**/x ",
    "--parents ",
    "--platform=$A ",
    "--mount=type=cache,target=/c,id=x ",
    "--mount=type=secret,id=k,env=K ",
    "--mount=type=bind,from=x,source=/,rw ",
    "type=tmpfs,size=1g,target=",
    ",mode=0755",
    "http://h/f ",
    "NONE",
    "EXPOSE 80-90/udp ",
    "VOLUME ",
    "STOPSIGNAL ",
    "# syntax=x\n",
    "# check=y\n",
    "${P#*/}",
    "${P%%.*}",
    "${P//?/$A}",
    "${P/",
    "[!a-",
    "30s",
    "\xef\xbb\xbf",
    "\xff",
    "\0",
    "{",
    "\"default_base\": ",
    "\"mirrors\": {",
    "//",
    "/*",
    "*/",
    "10M",
    "deb http://m/debian bookworm main",
    "[signed-by=/k]",
    "Types: deb\n",
    "URIs: http://m\n",
    "Signed-By:\n -----BEGIN\n .\n",
    "!",
    "**/",
    "*.o",
    "../",
    "/",
    "id:0123456789abcdef",
    ":",
    "latest",
};

using Random = std::mt19937_64;

std::vector<std::string> seeds;

std::string invent(Random& random)
{
  std::string text;
  for (std::size_t parts = 1 + random() % 40; parts > 0; --parts) {
    std::string piece{pieces[random() % std::size(pieces)]};
    const auto dice = random() % 10;
    if (dice >= 8 && !seeds.empty()) {
      const std::string& seed = seeds[random() % seeds.size()];
      piece = seed.substr(random() % seed.size(), 1 + random() % 200);
    }
    if (dice == 0) piece.resize(random() % (piece.size() + 1));
    if (dice == 1 && !piece.empty()) piece[random() % piece.size()] = static_cast<char>(random());
    text += piece;
    if (dice == 2 && !text.empty()) text += text.substr(random() % text.size());
    if (text.size() > 20'000) break;
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
  for (int i = 3; i < argc; ++i) {
    std::ifstream file{argv[i], std::ios::binary};
    seeds.emplace_back(std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{});
    run(seeds.back());
    if (seeds.back().empty()) seeds.pop_back();
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{seconds};
  unsigned long runs = 0;
  for (; std::chrono::steady_clock::now() < end; ++runs) run(invent(random));
  std::printf("%lu inputs\n", runs);
  return 0;
}
