// Build files, ignore files, sources of apt, configurations: pieces that the parsers know strung together.
#include "fuzz/fuzzing.h"

namespace conductor::fuzz {
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

} // namespace

std::string invent(Random& random, const Seeds& seeds)
{
  if (!seeds.empty() && one_in(random, 4)) return changed(random, one_of(random, seeds), pieces);
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

} // namespace conductor::fuzz
