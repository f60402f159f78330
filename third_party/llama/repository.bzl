"""Finds the libllama that `deploy/fetch llama` built, or declares that there is none.

Looks at $PARITY_LLAMA_DIR, then at ${XDG_CACHE_HOME:-$HOME/.cache}/parity/llama. The directory holds include/ and lib/.
defs.bzl exports LLAMA_AVAILABLE; the target @llama//:llama exists only when it is True.
"""

def _llama_repository_impl(ctx):
    env = ctx.os.environ
    home = env.get("XDG_CACHE_HOME") or (env.get("HOME", "") + "/.cache")
    root = ctx.path(env.get("PARITY_LLAMA_DIR") or home + "/parity/llama")
    header = root.get_child("include").get_child("llama.h")
    library = root.get_child("lib").get_child("libllama.so")
    available = header.exists and library.exists
    ctx.file("defs.bzl", "LLAMA_AVAILABLE = {}\n".format(available))
    if not available:
        ctx.file("BUILD.bazel", "")
        return
    ctx.symlink(root.get_child("include"), "include")
    lib_dir = str(root.get_child("lib").realpath)
    ctx.file("BUILD.bazel", """
cc_library(
    name = "llama",
    hdrs = glob(["include/*.h"]),
    includes = ["include"],
    linkopts = ["-L{lib}", "-Wl,-rpath,{lib}", "-lllama", "-lggml", "-lggml-cpu", "-lggml-base"],
    visibility = ["//visibility:public"],
)
""".format(lib = lib_dir))

llama_repository = repository_rule(
    implementation = _llama_repository_impl,
    environ = ["PARITY_LLAMA_DIR", "XDG_CACHE_HOME", "HOME"],
    local = True,
)
