"""Code of a user's own, as a library for whatever loads libraries."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from lab.door import call

LIBRARY = "/home/myself/own.so"

# What it does is asked for by files beside it. A file that it makes has the group of the process
# that it runs in, by the kernel's word.
_SOURCE = r"""
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

unsigned la_version(unsigned version) { return version; }  /* for LD_AUDIT, rtld-audit(7) */

__attribute__((constructor)) static void run(void) {
    char name[64];
    snprintf(name, sizeof name, "/home/myself/ran-as-%d-%d", (int) geteuid(), (int) getegid());
    FILE *file = fopen(name, "w");
    if (file)
        fclose(file);
    if (access("/home/myself/leave-a-copy", F_OK) == 0 && getegid() != getuid()) {
        char buffer[4096];
        size_t count;
        FILE *from = fopen("/home/myself/program", "r");
        FILE *to = fopen("/home/myself/kept", "w");
        while (from && to && (count = fread(buffer, 1, sizeof buffer, from)))
            fwrite(buffer, 1, count, to);
        if (to) {
            fclose(to);
            chmod("/home/myself/kept", 02755);
        }
    }
}
"""


@cache
def library() -> bytes:
    """The compiled library. Raises LabError."""
    with tempfile.TemporaryDirectory() as directory:
        source, built = Path(directory, "own.c"), Path(directory, "own.so")
        source.write_text(_SOURCE)
        call(["gcc", "-shared", "-fPIC", "-o", built, source])
        return built.read_bytes()
