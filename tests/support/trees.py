"""File trees as overlay layers make them, read from the layers' directories: what `ls -lR` would show, as a dict."""
import hashlib
import os
import stat


def is_whiteout(status):
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(path):
    try:
        return os.getxattr(path, "trusted.overlay.opaque", follow_symlinks=False) == b"y"
    except OSError:
        return False


def attributes(path):
    names = [n for n in os.listxattr(path, follow_symlinks=False) if n.startswith("user.") or n == "security.capability"]
    return {n: os.getxattr(path, n, follow_symlinks=False).hex() for n in sorted(names)}


def describe(path, status, times):
    kind = stat.filemode(status.st_mode)[0]
    facts = {"kind": kind, "mode": oct(stat.S_IMODE(status.st_mode)), "owner": f"{status.st_uid}:{status.st_gid}"}
    if kind == "l":
        facts["mode"] = "any"
        facts["to"] = os.readlink(path)
    else:
        if found := attributes(path):
            facts["attributes"] = found
    if kind == "-":
        with open(path, "rb") as file:
            facts["content"] = hashlib.sha256(file.read()).hexdigest()[:16]
        facts["same file"] = (status.st_dev, status.st_ino) if status.st_nlink > 1 else None
    if times and kind == "-":
        facts["time"] = int(status.st_mtime)
    return facts


def merged(layers, times=False):
    """The tree of these directories, base first: path -> facts. Names of one file get its first name."""
    tree = {}
    for layer in layers:
        for top, directories, files in os.walk(layer):
            inner = os.path.relpath(top, layer)
            if inner != "." and is_opaque(top):
                for path in [p for p in tree if p.startswith(inner + "/")]:
                    del tree[path]
            for name in directories + files:
                path = os.path.join(top, name)
                place = name if inner == "." else f"{inner}/{name}"
                status = os.lstat(path)
                if is_whiteout(status) or not stat.S_ISDIR(status.st_mode):
                    for below in [p for p in tree if p == place or p.startswith(place + "/")]:
                        del tree[below]
                if not is_whiteout(status):
                    tree[place] = describe(path, status, times)
    first = {}
    for path in sorted(tree):
        if same := tree[path].get("same file"):
            tree[path]["same file"] = first.setdefault(same, path)
        else:
            tree[path].pop("same file", None)
    return tree


def differences(ours, theirs):
    """One line for each place that is not the same."""
    lines = []
    for path in sorted(set(ours) | set(theirs)):
        a, b = ours.get(path), theirs.get(path)
        if a != b:
            lines.append(f"{path}: ours {a}, theirs {b}")
    return lines
