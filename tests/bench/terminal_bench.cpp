// How fast the terminal core alone is, on nine kinds of output that panes see. Prints MiB per second of
// processor time for each, the best of three runs.
//
//     conductor-bench-terminal [MiB per stream, 32] [name of one stream]
//     conductor-bench-terminal --write NAME MiB        writes a stream to standard output, to compare other terminals
#include "tui/terminal/terminal.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

namespace {

using conductor::terminal::Terminal;

constexpr int rows = 40, columns = 120;

/// xorshift: the same streams on every run and host.
class Dice {
public:
  std::uint32_t operator()(std::uint32_t sides)
  {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<std::uint32_t>(state_ >> 33) % sides;
  }

private:
  std::uint64_t state_ = 0x2545'F491'4F6C'DD1D;
};

std::string number(std::uint32_t value) { return std::to_string(value); }

std::string words(Dice& dice, std::size_t length)
{
  std::string text;
  while (text.size() < length) {
    for (std::uint32_t n = 2 + dice(8); n > 0; --n) text += static_cast<char>('a' + dice(26));
    text += ' ';
  }
  text.resize(length);
  return text;
}

void plain_lines(std::string& out, Dice& dice) { out += words(dice, 20 + dice(80)) + "\r\n"; }

void log_colours(std::string& out, Dice& dice)
{
  out += "\x1b[2m2024-05-17T12:" + number(10 + dice(50)) + ":" + number(10 + dice(50)) + "Z\x1b[0m \x1b[1;3" +
         number(1 + dice(6)) + "mINFO\x1b[0m \x1b[36mnginx\x1b[0m: " + words(dice, 30 + dice(40)) +
         " \x1b[32m200\x1b[0m\r\n";
}

void dense_256(std::string& out, Dice& dice)
{
  for (int x = 0; x < columns; ++x) {
    out += "\x1b[38;5;" + number(dice(256)) + ";48;5;" + number(dice(256)) + "m";
    out += static_cast<char>('!' + dice(90));
  }
  out += "\x1b[0m\r\n";
}

void truecolor(std::string& out, Dice& dice)
{
  for (int x = 0; x < columns; ++x) {
    for (const char* ground : {"\x1b[38;2;", "\x1b[48;2;"})
      out += ground + number(dice(256)) + ";" + number(dice(256)) + ";" + number(dice(256)) + "m";
    out += static_cast<char>('!' + dice(90));
  }
  out += "\x1b[0m\r\n";
}

void alternate_scroll(std::string& out, Dice& dice)
{
  if (out.empty()) out = "\x1b[?1049h";
  plain_lines(out, dice);
}

void region_scroll(std::string& out, Dice& dice)
{
  if (out.empty()) out = "\x1b[5;35r\x1b[35;1H";
  plain_lines(out, dice);
}

void cursor_motion(std::string& out, Dice& dice)
{
  out += "\x1b[" + number(1 + dice(rows)) + ";" + number(1 + dice(columns)) + "H" + words(dice, 1 + dice(8));
  if (dice(8) == 0) out += "\x1b[K";
  if (dice(8) == 0) out += "\x1b[" + number(1 + dice(5)) + "A";
}

void cjk_combining(std::string& out, Dice& dice)
{
  auto put = [&out](std::uint32_t code_point) {
    if (code_point < 0x800) {
      out += static_cast<char>(0xC0 | code_point >> 6);
    } else {
      out += static_cast<char>(0xE0 | code_point >> 12);
      out += static_cast<char>(0x80 | (code_point >> 6 & 0x3F));
    }
    out += static_cast<char>(0x80 | (code_point & 0x3F));
  };
  for (std::uint32_t n = 20 + dice(30); n > 0; --n) {
    put(0x4E00 + dice(0x5000));
    if (dice(4) == 0) {
      out += static_cast<char>('a' + dice(26));
      put(0x300 + dice(0x60));
    }
  }
  out += "\r\n";
}

void long_lines(std::string& out, Dice& dice) { out += words(dice, 5000) + "\r\n"; }

struct Stream {
  const char* name;
  void (*append)(std::string&, Dice&);
  double goal; ///< MiB/s
};

constexpr Stream streams[] = {
    {"plain", plain_lines, 100},          {"log", log_colours, 250},
    {"dense256", dense_256, 250},         {"truecolor", truecolor, 250},
    {"altscroll", alternate_scroll, 100}, {"region", region_scroll, 100},
    {"motion", cursor_motion, 100},       {"cjk", cjk_combining, 100},
    {"longlines", long_lines, 100},
};

std::string make(const Stream& stream, std::size_t bytes)
{
  std::string out;
  Dice dice;
  while (out.size() < bytes) stream.append(out, dice);
  return out;
}

/// Time of this thread on a processor: what else the machine does must not count.
double processor_seconds()
{
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double measure(const std::string& bytes)
{
  constexpr std::size_t chunk = 65'536; // as a pane reads
  Terminal terminal(rows, columns);
  double start = processor_seconds();
  for (std::size_t at = 0; at < bytes.size(); at += chunk) {
    terminal.feed(std::string_view(bytes).substr(at, chunk));
    terminal.take_damage();
  }
  return static_cast<double>(bytes.size()) / (1 << 20) / (processor_seconds() - start);
}

} // namespace

int main(int argc, char** argv)
{
  if (argc == 4 && std::strcmp(argv[1], "--write") == 0) {
    for (const Stream& stream : streams) {
      if (std::strcmp(stream.name, argv[2]) != 0) continue;
      std::string bytes = make(stream, static_cast<std::size_t>(std::atoi(argv[3])) << 20);
      return std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size() ? 0 : 1;
    }
    return 2;
  }
  std::size_t mebibytes = argc > 1 ? static_cast<std::size_t>(std::atoi(argv[1])) : 32;
  for (const Stream& stream : streams) {
    if (argc > 2 && std::strcmp(stream.name, argv[2]) != 0) continue;
    std::string bytes = make(stream, mebibytes << 20);
    double best = 0;
    for (int round = 0; round < 3; ++round) {
      double rate = measure(bytes);
      if (rate > best) best = rate;
    }
    std::printf("%-10s %7.0f MiB/s  (goal %3.0f)%s\n", stream.name, best, stream.goal,
                best < stream.goal ? "  below" : "");
  }
}
