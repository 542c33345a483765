#!/usr/bin/python3
"""Prints width_table.h: the columns of every code point, from ICU 72 (Unicode 15.0, Debian 12's libicu72).

    /usr/bin/python3 width_table.py > width_table.h

Zero columns: marks that combine (Mn, Me), format characters (Cf) but for the soft hyphen and the Arabic number signs,
the vowels and finals of Hangul that join the syllable before them, and default ignorables. Two: East Asian Wide and
Fullwidth, which holds the emoji too. This is how wcwidth(3) of glibc sees it, so that child, pane and painter agree.
`--compare` lists where this machine's wcwidth differs.
"""
import ctypes
import sys

icu = ctypes.CDLL("libicuuc.so.72")
GENERAL_CATEGORY, EAST_ASIAN_WIDTH = 0x1005, 0x1004
UNASSIGNED, MN, ME, CF = 0, 6, 7, 16
FULLWIDTH, WIDE = 3, 5


def prop(code_point, which):
    return icu.u_getIntPropertyValue_72(code_point, which)


def width(c):
    if 0x1160 <= c <= 0x11FF or 0xD7B0 <= c <= 0xD7FF:
        return 0
    category = prop(c, GENERAL_CATEGORY)
    if category in (MN, ME):
        return 0
    if category == CF and c != 0xAD and not (0x600 <= c <= 0x605 or c in (0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD)):
        return 0
    if 0xE0000 <= c <= 0xE0FFF or c == 0x2065:  # unassigned default ignorables
        return 0
    if 0x3248 <= c <= 0x324F or 0x4DC0 <= c <= 0x4DFF:  # circled numbers, hexagrams: glibc's own choice
        return 2
    return 2 if prop(c, EAST_ASIAN_WIDTH) in (FULLWIDTH, WIDE) else 1


def compare():
    libc = ctypes.CDLL("libc.so.6")
    libc.setlocale.restype = ctypes.c_char_p
    libc.setlocale(0, b"C.UTF-8")
    last = None
    for c in range(0x20, 0x110000):
        ours, theirs = width(c), libc.wcwidth(c)
        if theirs >= 0 and ours != theirs:
            if last and last[1] == c - 1 and last[2:] == (ours, theirs):
                last = (last[0], c, ours, theirs)
                continue
            if last:
                print("U+%04X..%04X ours %d, wcwidth %d" % last)
            last = (c, c, ours, theirs)
    if last:
        print("U+%04X..%04X ours %d, wcwidth %d" % last)


def main():
    pages, index = [], []
    for page in range(0x1100):
        words = []
        for word in range(8):
            words.append(sum(width(page * 256 + word * 32 + i) << (2 * i) for i in range(32)))
        if words not in pages:
            pages.append(words)
        index.append(pages.index(words))
    print("// Columns of every code point of Unicode 15.0. Made by width_table.py; do not edit.")
    print("// A page covers 256 code points with two bits each, 32 of them in a word, the lowest first.")
    print("#pragma once\n\n#include <cstdint>\n\nnamespace conductor::terminal {\n")
    print("// clang-format off")
    print("inline constexpr std::uint8_t width_page[0x1100] = {")
    for i in range(0, 0x1100, 64):
        print("  " + ",".join(str(n) for n in index[i : i + 64]) + ",")
    print("};\n")
    print("inline constexpr std::uint64_t width_bits[%d][8] = {" % len(pages))
    for words in pages:
        print("  {" + ", ".join("0x%016X" % w for w in words) + "},")
    print("};\n// clang-format on\n\n} // namespace conductor::terminal")


compare() if sys.argv[1:] == ["--compare"] else main()
