"""A corpus of layers that mean harm: each a function that writes a tar archive byte by byte, since no tar library would.

Rows of CORPUS: name -> (bytes of the layer, part of the sentence that refuses it, or None where it is taken and does no
harm). Names with CANARY lead to a directory outside of every root that must stay as it is.
"""
import struct


def octal(value, width):
    return f"{value:0{width - 1}o}".encode() + b"\0"


def header(name, kind=b"0", size=0, link=b"", mode=0o644, uid=0, gid=0, major=0, minor=0, magic=b"ustar\0" + b"00",
           prefix=b"", size_field=None, uid_field=None):
    block = bytearray(512)
    block[0:len(name[:100])] = name[:100]
    block[100:108] = octal(mode, 8)
    block[108:116] = uid_field or octal(uid, 8)
    block[116:124] = octal(gid, 8)
    block[124:136] = size_field or octal(size, 12)
    block[136:148] = octal(1_700_000_000, 12)
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[157:157 + len(link[:100])] = link[:100]
    block[257:265] = magic
    block[329:337] = octal(major, 8)
    block[337:345] = octal(minor, 8)
    block[345:345 + len(prefix)] = prefix
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block)


def padded(data):
    return data + b"\0" * (-len(data) % 512)


def file(name, content=b"evil", **more):
    return header(name, size=len(content), **more) + padded(content)


def directory(name, mode=0o755):
    return header(name + b"/", b"5", mode=mode)


def symlink(name, target):
    return header(name, b"2", link=target)


def hard_link(name, target):
    return header(name, b"1", link=target)


def pax(records, kind=b"x"):
    body = b""
    for key, value in records:
        line = b" " + key + b"=" + value + b"\n"
        length = len(line) + 1
        while length != len(line) + len(str(length)):
            length = len(line) + len(str(length))
        body += str(length).encode() + line
    return header(b"PaxHeaders/x", kind, size=len(body)) + padded(body)


def base256(value, width=12):
    return struct.pack(">B", 0x80 if value >= 0 else 0xff) + value.to_bytes(width - 1, "big", signed=True)


END = b"\0" * 1024


def corpus(canary):
    """canary: the directory outside, as bytes without the leading '/'."""
    out = b"/" + canary
    up = b"../" * 12 + canary
    deep = b"/".join([b"d"] * 300)
    rows = {
        # ---- names that lead out
        "dot dot": (file(up + b"/f"), "climbs"),
        "dot dot in the middle": (file(b"a/../../" + up + b"/f"), "climbs"),
        "dot dot at the end": (directory(b"a/.."), "climbs"),
        "absolute": (file(out + b"/f"), "absolute"),
        "absolute by pax": (pax([(b"path", out + b"/f")]) + file(b"a"), "absolute"),
        "dot dot by pax": (pax([(b"path", up + b"/f")]) + file(b"a"), "climbs"),
        "dot dot by a GNU long name": (header(b"././@LongLink", b"L", size=len(up) + 1, magic=b"ustar  \0") +
                                       padded(up + b"\0") + file(b"a"), "climbs"),
        "dot dot by prefix": (file(b"f", prefix=b"../.."), "climbs"),
        "zero byte in a pax path": (pax([(b"path", b"a\0/../b")]) + file(b"a"), "zero byte"),
        "global pax path": (pax([(b"path", out)], b"g") + file(b"a"), "global pax"),
        "a name of 300 bytes": (pax([(b"path", b"n" * 300)]) + file(b"a"), "255 bytes"),
        "a path of 5000 bytes": (pax([(b"path", b"/".join([b"n" * 200] * 25))]) + file(b"a"), "4095 bytes"),
        "300 directories deep": (pax([(b"path", deep)]) + file(b"a"), "directories deep"),
        "no name": (file(b""), "no name"),
        # ---- links
        "through a symlink": (symlink(b"l", out) + file(b"l/f"), "no directory above"),
        "through a relative symlink": (symlink(b"l", up) + file(b"l/f"), "no directory above"),
        "through two symlinks": (directory(b"d") + symlink(b"d/a", b"..") + symlink(b"b", b"d/a/d") + file(b"b/a/f"),
                                 "no directory above"),
        "symlink, then a directory of that name, then a file": (
            symlink(b"l", out) + directory(b"l") + file(b"l/f"), None),
        "file written over a symlink": (symlink(b"l", out + b"/file") + file(b"l"), None),
        "hard link out": (hard_link(b"h", up + b"/file"), "climbs"),
        "absolute hard link": (hard_link(b"h", out + b"/file"), "absolute"),
        "hard link through a symlink": (symlink(b"l", out) + hard_link(b"h", b"l/file") + file(b"h"), "linked to"),
        "hard link to a symlink, then written": (
            symlink(b"l", out + b"/file") + hard_link(b"h", b"l") + file(b"h"), None),
        "hard link to what is not there": (hard_link(b"h", b"etc/shadow"), "linked to"),
        "hard link to a directory": (directory(b"d") + hard_link(b"h", b"d"), "no file"),
        "hard link with content": (header(b"h", b"1", link=b"a", size=4) + padded(b"evil"), "has content"),
        "symlink with content": (header(b"l", b"2", link=b"a", size=4) + padded(b"evil"), "has content"),
        "directory through a file": (file(b"a") + file(b"a/b"), "no directory above"),
        "file in place of a full directory": (directory(b"d") + file(b"d/f") + file(b"d"), "one of them a directory"),
        # ---- devices
        "block device": (header(b"disk", b"4", major=8, minor=0, mode=0o666), None),
        "character device": (header(b"mem", b"3", major=1, minor=1, mode=0o666), None),
        "device 0/0": (header(b"etc", b"3"), "0/0"),
        # ---- whiteouts
        "whiteout through a symlink": (symlink(b"l", out) + file(b"l/.wh.file", b""), "no directory above"),
        "whiteout of dot dot": (directory(b"d") + file(b"d/.wh...", b""), "whiteout of nothing"),
        "whiteout of nothing": (file(b".wh.", b""), "whiteout of nothing"),
        "whiteout that is a symlink": (symlink(b".wh.x", out), "is a whiteout and no file"),
        "whiteout with content": (file(b".wh.x", b"evil"), "content"),
        "below a whiteout": (file(b".wh.d/f"), "below a whiteout"),
        "hard link to a whiteout": (file(b".wh.x", b"") + hard_link(b"h", b".wh.x"), "link to a whiteout"),
        "opaque through a symlink": (symlink(b"l", out) + file(b"l/.wh..wh..opq", b""), "no directory above"),
        "opaque after content": (directory(b"d") + file(b"d/f") + file(b"d/.wh..wh..opq", b""), None),
        "overlay's own attributes": (pax([(b"SCHILY.xattr.trusted.overlay.redirect", b"/etc")]) + directory(b"d"),
                                     "only the kernel"),
        "overlay's own attributes of users": (pax([(b"SCHILY.xattr.user.overlay.opaque", b"y")]) + directory(b"d"),
                                              "only the kernel"),
        # ---- twice
        "a file twice": (file(b"a", b"one") + file(b"a", b"two!"), None),
        # ---- sizes and numbers
        "negative size": (header(b"a", size_field=base256(-512)), "below zero"),
        "negative size by pax": (pax([(b"size", b"-1")]) + file(b"a"), "no number"),
        "nine gigabytes that are not there": (header(b"a", size_field=base256(9 << 30)) + b"x" * 512, "the middle"),
        "a size of 2^62": (header(b"a", size_field=base256(1 << 62)), "impossible size"),
        "a size by pax that the header denies": (pax([(b"size", b"99999999")]) + file(b"a"), "the middle"),
        "a size that is no number": (header(b"a", size_field=b"12345678901x"), "no number"),
        "more than the disk holds": (header(b"a", size_field=base256(1 << 58)), "does not fit"),
        "a negative user": (header(b"a", uid_field=base256(-1, 8)), "impossible user"),
        "a user by pax beyond 32 bits": (pax([(b"uid", b"99999999999")]) + file(b"a"), "impossible user"),
        # ---- kinds
        "sparse, GNU": (header(b"a", b"S", magic=b"ustar  \0"), "sparse"),
        "sparse, pax": (pax([(b"GNU.sparse.realsize", b"1099511627776")]) + file(b"a"), "sparse"),
        "an unknown kind": (header(b"a", b"Z"), "unknown type"),
        # ---- damage
        "a wrong checksum": (file(b"a")[:148] + b"000000\0 " + file(b"a")[156:], "checksum"),
        "a pax record of a wrong length": (header(b"p", b"x", size=12) + padded(b"99 path=a/b\n") + file(b"a"),
                                           "wrong length"),
        "a pax header of 2 MiB": (header(b"p", b"x", size=2 << 20) + b"\0" * (2 << 20), "extended header"),
        "a pax header without an entry": (pax([(b"path", b"a")]), "no entry behind"),
        "cut in a header": (file(b"a") + header(b"b")[:100], "the middle"),
        "something behind the end": (file(b"a") + END + file(b"b"), "behind its end"),
        "zeros without end": (file(b"a") + b"\0" * (3 << 20), "zeros"),
        "no tar at all": (b"#!/bin/sh\nrm -rf /\n" * 100, "checksum"),
        # ---- names that are no text
        "names that are no UTF-8": (file(b"\xff\xfe\x1b[2J"), None),
    }
    cut = {"cut in a header", "nine gigabytes that are not there", "something behind the end",
           "a size by pax that the header denies", "zeros without end"}
    return {name: (data if name in cut else data + END, refused) for name, (data, refused) in rows.items()}
