// What a fuzz target and its driver agree on. A target is two files: NAME_fuzz.cpp looks at one input and aborts when a
// property does not hold, NAME_inputs.cpp knows what inputs are worth trying; its seeds lie in seeds/NAME. The driver
// (driver.cpp) makes a program of them that needs no libFuzzer and so runs under GCC's sanitizers; with clang the first
// file alone is a libFuzzer target.
#pragma once

#include "core/base/error.h"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

// NAME_fuzz.cpp
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace conductor::fuzz {

using Random = std::mt19937_64;
using Seeds = std::vector<std::string>;

// NAME_inputs.cpp: a new input, made of pieces of its own, of the seeds and of noise.
std::string invent(Random& random, const Seeds& seeds);

inline std::size_t below(Random& random, std::size_t limit) { return random() % limit; }
inline bool one_in(Random& random, std::size_t n) { return random() % n == 0; }

template <class List>
decltype(auto) one_of(Random& random, const List& list)
{
  return list[below(random, std::size(list))];
}

// A seed, or what became of it: some bytes changed, cut, repeated or replaced by one of `pieces`.
template <class Pieces>
std::string changed(Random& random, std::string text, const Pieces& pieces)
{
  for (std::size_t changes = 1 + below(random, 4); changes > 0 && !text.empty(); --changes) {
    const std::size_t at = below(random, text.size());
    switch (below(random, 5)) {
    case 0: text[at] = static_cast<char>(random()); break;
    case 1: text.erase(at, below(random, 8)); break;
    case 2: text.insert(at, one_of(random, pieces)); break;
    case 3: text.insert(at, text.substr(below(random, text.size()), below(random, 64))); break;
    default: text.resize(at); break;
    }
  }
  return text;
}

[[noreturn]] inline void fail(std::string_view what)
{
  std::fprintf(stderr, "broken: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

// A value or an Error, whose sentence can be shown on any terminal.
template <class Try>
void either_way(Try&& attempt)
{
  try {
    attempt();
  } catch (const Error& error) {
    if (error.sentence().empty()) fail("an error says nothing");
    for (const char c : error.sentence())
      if (static_cast<unsigned char>(c) < ' ' || c == '\x7f')
        fail("an error holds a control character: " + std::string{error.sentence()});
  }
}

} // namespace conductor::fuzz
