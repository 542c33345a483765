// Output of programs in a terminal: pieces of sequences that the core knows, of recorded sessions, and noise. The first
// four bytes say how large the screen is.
#include "fuzz/fuzzing.h"

namespace conductor::fuzz {
namespace {

// clang-format off
constexpr std::string_view pieces[] = {
    "hello world", "\r\n", "\n", "\t", "\b", "漢字", "e\u0301", "👩\u200d🚀", "\xff", "\xe2\x82",
    "\033[H", "\033[2J", "\033[3J", "\033[K", "\033[1K", "\033[J", "\033[1J", "\033[5;20H", "\033[3;9r", "\033[r",
    "\033[L", "\033[2M", "\033[3@", "\033[2P", "\033[4X", "\033[S", "\033[2T", "\033[65535b", "\033[7b",
    "\033[1;31m", "\033[38;5;200m", "\033[48;2;1;2;3m", "\033[4:3;58:2::9:8:7m", "\033[m",
    "\033[?1049h", "\033[?1049l", "\033[?47h", "\033[?1047l", "\033[?6h", "\033[?6l", "\033[?7l", "\033[?7h",
    "\033[?45h", "\033[4h", "\033[4l", "\0337", "\0338", "\033[s", "\033[u", "\033c", "\033[!p", "\033#8",
    "\033(0", "\033(B", "\016", "\017", "\033M", "\033D", "\033E", "\033H", "\033[3g", "\033[5Z", "\033[6n", "\033[c",
    "\033[?2026$p", "\033P$qm\033\\", "\033]0;title\a", "\033]8;;http://a/b\033\\", "\033]8;;\033\\", "\033]4;1;?\a",
    "\033]10;#123456\a", "\033]52;c;aGVsbG8=\a", "\033]133;A\a", "\033[22t", "\033[23t", "\033[?1;7s", "\033[?1;7r",
    "\033[1\"q", "\033[?J", "\033[?K", "\033_x\033\\", "\033P", "\033[", "\033]", "\033",
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
};
// clang-format on

} // namespace

std::string invent(Random& random, const Seeds& corpus)
{
  std::string bytes;
  for (int i = 0; i < 4; ++i) bytes += static_cast<char>(random());
  std::size_t parts = 1 + below(random, 200);
  for (std::size_t i = 0; i < parts; ++i) {
    std::string piece(pieces[below(random, std::size(pieces))]);
    switch (below(random, 12)) {
    case 0: // a sequence of noise
      piece = "\033[";
      for (std::size_t n = below(random, 12); n > 0; --n) piece += "0123456789;:?> !$\""[below(random, 18)];
      piece += static_cast<char>('@' + below(random, 63));
      break;
    case 1: // a byte changed
      piece[below(random, piece.size())] = static_cast<char>(random());
      break;
    case 2: // a sequence cut
      piece.resize(below(random, piece.size()));
      break;
    case 3:
      piece.clear();
      for (std::size_t n = below(random, 20); n > 0; --n) piece += static_cast<char>(random());
      break;
    case 4:
      if (!corpus.empty()) {
        const std::string& file = corpus[below(random, corpus.size())];
        if (!file.empty()) piece = file.substr(below(random, file.size()), below(random, 400));
      }
      break;
    default: break;
    }
    bytes += piece;
  }
  return bytes;
}

} // namespace conductor::fuzz
