#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What compilers do not check: who includes whom, calls that are banned,
headers that stand alone, and the looks of the tree. Prints `file:line: text`
and fails; lines with "warning:" do not count.

usage: lint.py [TOP]
"""

import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

import layers

TOP_LEVEL = {
    "core", "plugins", "ngx-bridge", "include", "tests", "conf.d", "docs", ".ci",
    "CMakeLists.txt", "CMakePresets.json", "README.md", "LICENSE", "CHANGELOG.md",
    "CONTRIBUTING.md", "SECURITY.md", "NOTICE", "check", "demo",
    ".clang-format", ".clang-tidy", ".editorconfig", ".gitignore", ".gitattributes",
    ".git-blame-ignore-revs",
}

BANNED = {
    "strcpy": "str_copy or snprintf", "strcat": "a struct buf", "sprintf": "snprintf",
    "vsprintf": "vsnprintf", "strtok": "str_split", "atoi": "strtol",
    "atol": "strtol", "gets": "fgets", "system": "a child process",
    "popen": "a child process", "localtime": "localtime_r", "gmtime": "gmtime_r",
}

# Not in the tree: traces of one workplace. Written so as not to match here.
WORDS = re.compile(r"/wor[k]/|/far[m]/|\bsub-?agent[s]?\b|\bLL[M]\b|\bas an A[I]\b"
                   r"|shared/(desig[n]|referenc[e])|artifact-registr[y]", re.I)

LINES_MAX, FUNCTION_MAX = 700, 60
# One header is the whole reader, so that a foreign reader can take it along.
LONGER = {"include/acme/segment.h": 1200}


def tree(top):
    """All files of the tree: what git knows and would add, else what is there."""
    listed = subprocess.run(
        ["git", "-C", top, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False) \
        if shutil.which("git") else None
    if listed and listed.returncode == 0 and listed.stdout:
        return sorted(name for name in set(listed.stdout.split("\0"))
                      if name and os.path.isfile(os.path.join(top, name)))
    found = []
    for where, folders, names in os.walk(top):
        folders[:] = [f for f in folders if f not in (".git", "build", "__pycache__",
                                                      ".pytest_cache")]
        found += [os.path.relpath(os.path.join(where, n), top) for n in names]
    return sorted(found)


def code_only(text):
    """C without comments and the insides of strings; lines stay where they are."""
    def blank(match):
        found = match.group(0)
        if found[0] == "/":
            return "\n" * found.count("\n") or " "
        return found[0] + found[0]
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'",
                  blank, text, flags=re.S)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def check_calls(path, text):
    words = "|".join(BANNED)
    for match in re.finditer(rf"(?<![\w.>])({words})\s*\(", text):
        yield path, line_of(text, match.start()), \
            f"{match.group(1)} is banned, use {BANNED[match.group(1)]}"
    if path.startswith(tuple(f"core/{folder}/" for folder in layers.CLOCKLESS)):
        for match in re.finditer(r"\b(now_wall|now_mono|time|clock_gettime)\s*\(", text):
            yield path, line_of(text, match.start()), \
                f"{match.group(1)}: this folder has no clock"


def check_includes(path, text):
    for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]+([<"])([^>"]+)[>"]', text, re.M):
        why = layers.trouble(path, match.group(2), match.group(1) == "<")
        if why:
            yield path, line_of(text, match.start()), f"include of {match.group(2)}: {why}"


def check_functions(path, text):
    begin = None
    for number, line in enumerate(text.split("\n"), 1):
        if line == "{":
            begin = number
        elif line.startswith("}") and begin:
            if number - begin > FUNCTION_MAX:
                yield path, begin, f"warning: function of {number - begin} lines"
            begin = None


def check_essay(path, text):
    essay = max((found for found in re.findall(r"/\*(.*?)\*/", text[:4000], re.S)
                 if "#include" not in text[:text.index(found)]),
                key=len, default="")
    if len(essay.replace("SPDX-License-Identifier: Apache-2.0", "").split()) < 8:
        yield path, 2, "no comment at the top that says what this file is for"


def check_spdx(path, text):
    if "SPDX-License-Identifier: Apache-2.0" not in "".join(text.split("\n")[:3]):
        yield path, 1, "no SPDX line at the top"


def check_looks(path, text):
    for match in WORDS.finditer(text):
        yield path, line_of(text, match.start()), f"does not belong in the tree: {match.group(0)}"
    for number, line in enumerate(text.split("\n"), 1):
        if line.endswith((" ", "\t", "\r")) and not path.endswith(".md"):
            yield path, number, "blank at the end of the line"
    for match in re.finditer(r"^(<{7}|>{7}) ", text, re.M):
        yield path, line_of(text, match.start()), "unresolved merge"


def is_script(path, text):
    return path.endswith(".sh") or text.startswith(("#!/bin/sh", "#!/usr/bin/env bash",
                                                    "#!/bin/bash"))


def check_file(top, path):
    """All findings in one file."""
    with open(os.path.join(top, path), "rb") as file:
        data = file.read()
    if b"\0" in data:
        return
    text = data.decode(errors="replace")
    yield from check_looks(path, text)
    if path.endswith((".c", ".h", ".py", ".sh", ".cmake", "CMakeLists.txt")) \
            or is_script(path, text):
        yield from check_spdx(path, text)
        lines, most = text.count("\n"), LONGER.get(path, LINES_MAX)
        if lines > most:
            yield path, most, f"{lines} lines; at most {most}"
    if path.endswith((".c", ".h")):
        code = code_only(text)
        yield from check_calls(path, code)
        yield from check_includes(path, text)
        yield from check_functions(path, text)
    if path.endswith(".c"):
        yield from check_essay(path, text)


def compile_alone(top, path, compiler, *flags):
    """A header that stands alone compiles alone."""
    # An #include of it: as the main file, it would warn about #pragma once.
    source = f'#include "{os.path.join(top, path)}"\n'
    done = subprocess.run(
        [compiler, *flags, "-fsyntax-only", "-Werror", "-I", os.path.join(top, "core"),
         "-I", os.path.join(top, "include"), "-"],
        input=source, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        first = next((l for l in done.stderr.split("\n") if "error" in l), done.stderr[:200])
        yield path, 1, f"does not stand alone ({' '.join(flags[:2])}): {first.strip()}"


def header_jobs(files):
    """(path, compiler, flags...) for each header and language."""
    for path in files:
        if path.startswith("core/") and path.endswith(".h"):
            yield path, "gcc", "-std=gnu11", "-xc", "-D_GNU_SOURCE", "-Wall", "-Wextra"
        if path.startswith("include/acme/") and path.endswith(".h"):
            yield path, "gcc", "-std=c99", "-xc", "-D_XOPEN_SOURCE=700", "-pedantic", "-Wall", "-Wextra", "-Wpadded"
            yield path, "g++", "-std=c++11", "-xc++", "-pedantic", "-Wall", "-Wextra"


def check_headers(top, files):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(lambda job: list(compile_alone(top, *job)), job)
                for job in header_jobs(files) if shutil.which(job[1])]
        for job in jobs:
            yield from job.result()


def check_scripts(top, files):
    if not shutil.which("shellcheck"):
        print("lint: shellcheck is not installed, scripts were not checked")
        return
    scripts = []
    for path in files:
        with open(os.path.join(top, path), "rb") as file:
            if is_script(path, file.read(40).decode(errors="replace")):
                scripts.append(path)
    if not scripts:
        return
    done = subprocess.run(["shellcheck", "-x", "-f", "gcc", *scripts], cwd=top,
                          stdout=subprocess.PIPE, text=True, check=False)
    for line in done.stdout.splitlines():
        yield line.split(":")[0], int(line.split(":")[1]), line.split(":", 3)[3].strip()


def check_tree(files):
    for name in sorted({path.split("/")[0] for path in files} - TOP_LEVEL):
        yield name, 0, "does not belong at the top of the tree"


def main(top):
    files = tree(top)
    findings = list(check_tree(files))
    for path in files:
        findings += check_file(top, path)
    findings += check_headers(top, files)
    findings += check_scripts(top, files)
    for path, number, text in findings:
        print(f"{path}:{number}: {text}")
    bad = sum(not text.startswith("warning:") for _, _, text in findings)
    print(f"lint: {len(files)} files, {bad} findings, {len(findings) - bad} warnings")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else ".")))
