"""Finds the libllama that `deploy/fetch llama` built, or declares that there is none.

Looks at $PARITY_LLAMA_DIR, then at ${XDG_CACHE_HOME:-$HOME/.cache}/parity/llama. The directory holds include/ and lib/.
defs.bzl exports LLAMA_AVAILABLE; when it is True there are
  @llama//:headers  what a program includes that opens the library itself (worker/llama), and llama_build.h: what the library
                    says of itself, and its folder
  @llama//:llama    the library, linked: for tests that have it for an oracle
"""

def _cmake_value(ctx, file, name):
    """The value that a package file of CMake sets; the build ends without it."""
    if file.exists:
        for line in ctx.read(file).split("\n"):
            if line.startswith("set({} ".format(name)) and line.endswith(")"):
                return line[len("set({} ".format(name)):-1].strip().strip("\"")
    fail("{} sets no {}: deploy/fetch llama makes a library that says what it is".format(file, name))

def _llama_repository_impl(ctx):
    env = ctx.os.environ
    home = env.get("XDG_CACHE_HOME") or (env.get("HOME", "") + "/.cache")
    root = ctx.path(env.get("PARITY_LLAMA_DIR") or home + "/parity/llama")
    header = root.get_child("include").get_child("llama.h")
    lib = root.get_child("lib")
    available = header.exists and lib.get_child("libllama.so").exists
    ctx.file("defs.bzl", "LLAMA_AVAILABLE = {}\n".format(available))
    if not available:
        ctx.file("BUILD.bazel", "")
        return
    ctx.symlink(root.get_child("include"), "include")
    cmake = lib.get_child("cmake")
    ctx.file("build/llama_build.h", """
#define PARITY_LLAMA_FOLDER "{folder}"
#define PARITY_LLAMA_VERSION "{llama}"
#define PARITY_GGML_VERSION "{ggml}"
""".format(
        folder = lib,
        llama = _cmake_value(ctx, cmake.get_child("llama").get_child("llama-config.cmake"), "LLAMA_VERSION"),
        ggml = _cmake_value(ctx, cmake.get_child("ggml").get_child("ggml-config.cmake"), "GGML_VERSION"),
    ))
    ctx.file("BUILD.bazel", """
package(default_visibility = ["//visibility:public"])

cc_library(
    name = "headers",
    hdrs = glob(["include/*.h"]) + ["build/llama_build.h"],
    includes = ["build", "include"],
)

cc_library(
    name = "llama",
    linkopts = ["-L{lib}", "-Wl,-rpath,{lib}", "-lllama", "-lggml", "-lggml-cpu", "-lggml-base"],
    deps = [":headers"],
)
""".format(lib = lib.realpath))

llama_repository = repository_rule(
    implementation = _llama_repository_impl,
    environ = ["PARITY_LLAMA_DIR", "XDG_CACHE_HOME", "HOME"],
    local = True,
)
