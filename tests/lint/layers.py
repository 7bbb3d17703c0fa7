# SPDX-License-Identifier: Apache-2.0
"""Who may include whom: the table of docs/architecture.md as data.

A folder may use what is named here and everything below that, except what
stands in NEVER. core/*.c wires the parts and may see all folders; no folder
but the named one sees a library's headers."""

MAY = {
    "base": [],
    "json": ["base"],
    "crypto": ["base"],
    "conf": ["base"],
    "loop": ["base"],
    "acme": ["base", "json", "crypto"],
    "plugin": ["base", "json", "conf", "loop", "include/acme"],
    "store": ["base", "json", "crypto", "plugin"],
    "segment": ["base", "include/acme"],
    "flow": ["acme", "crypto", "loop", "plugin", "store", "segment"],
    "renew": ["base", "conf", "flow", "store"],
    "control": ["base", "json", "conf", "loop", "renew"],
    "ctl": ["base", "json", "conf", "include/acme"],
}

NEVER = {
    "acme": ["loop"],
    "plugin": ["acme", "store", "flow"],
    "store": ["flow", "loop"],
    "flow": ["renew", "control"],
    "renew": ["control"],
    "control": ["flow", "store"],
}

# Where only one header of include/acme counts.
ONLY_HEADER = {"segment": "acme/segment.h", "ngx-bridge": "acme/segment.h"}

# Headers of libraries, by their first path component or name. jansson comes
# with core/json: who may use json may hold a json_t.
LIBRARIES = {
    "openssl": ["crypto"],
    "curl": ["loop"],
    "uv.h": ["loop"],
    "ares.h": ["loop"],
    "ini.h": ["conf"],
    "dlfcn.h": ["plugin"],
}

# Protocol code is given the time, it does not take it. (base/now.h is allowed
# for its dates; calls of its clocks are not, see lint.py.)
CLOCKS = ["time.h", "sys/time.h"]
CLOCKLESS = ["acme"]


def allowed(folder):
    """All folders that this one may include."""
    found, todo = set(), list(MAY[folder])
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += MAY.get(name, [])
    return (found | {folder}) - set(NEVER.get(folder, []))


def trouble(path, included, system):
    """Why the file `path` may not include this header, or None. `system`
    tells <x> from "x"."""
    parts = path.split("/")
    first = included.split("/")[0]
    if first == "acme" and system:
        return _public(parts, included)
    if parts[0] == "core":
        return _core(parts, included, first, system)
    if parts[0] in ("plugins", "ngx-bridge", "include") and not system \
            and first in MAY and "/" in included:
        return f"{parts[0]} knows nothing of core"
    if parts[0] == "include" and (first in LIBRARIES or first == "jansson.h"):
        return "public headers include no library"
    return None


def _public(parts, included):
    if parts[0] == "core" and len(parts) > 2:
        if "include/acme" not in allowed(parts[1]):
            return f"core/{parts[1]} may not use include/acme"
        wanted = ONLY_HEADER.get(parts[1])
    else:
        wanted = ONLY_HEADER.get(parts[0])
    if wanted and included != wanted:
        return f"only <{wanted}> may be used here"
    return None


def _core(parts, included, first, system):
    folder = parts[1] if len(parts) > 2 else None
    if folder is None:
        if first in LIBRARIES:
            return f"only core/{LIBRARIES[first][0]} sees this library"
        return None
    if folder not in MAY:
        return f"core/{folder} is not in the table of folders"
    if folder in CLOCKLESS and included in CLOCKS:
        return f"core/{folder} has no clock"
    if not system and "/" in included and first not in allowed(folder):
        return f"core/{folder} may not use {first}"
    if first in LIBRARIES and folder not in LIBRARIES[first]:
        return f"only core/{LIBRARIES[first][0]} sees this library"
    if first == "jansson.h" and "json" not in allowed(folder):
        return f"core/{folder} may not use json"
    return None
