"""Finds a CUDA toolkit, or declares that there is none.

Looks at $PARITY_CUDA_DIR (set but empty: build without one), then at /usr/local/cuda and /usr/lib/cuda.
defs.bzl exports CUDA_AVAILABLE and NVCC; the targets @cuda//:headers, @cuda//:cudart and @cuda//:dl exist only when it is True.
"""

def _find(ctx):
    chosen = ctx.os.environ.get("PARITY_CUDA_DIR")
    candidates = [chosen] if chosen != None else ["/usr/local/cuda", "/usr/lib/cuda"]
    for candidate in candidates:
        if not candidate:
            continue
        root = ctx.path(candidate)
        nvcc = root.get_child("bin").get_child("nvcc")
        static = root.get_child("lib64").get_child("libcudart_static.a")
        if nvcc.exists and static.exists and root.get_child("include").get_child("cublas_v2.h").exists:
            return root
    return None

def _cuda_repository_impl(ctx):
    root = _find(ctx)
    nvcc = str(root.get_child("bin").get_child("nvcc")) if root else ""
    ctx.file("defs.bzl", "CUDA_AVAILABLE = {}\nNVCC = \"{}\"\n".format(root != None, nvcc))
    if root == None:
        ctx.file("BUILD.bazel", "")
        return
    ctx.symlink(root.get_child("include"), "include")
    ctx.file("BUILD.bazel", """
package(default_visibility = ["//visibility:public"])

# The toolkit is as fixed as /usr/include: its hundreds of headers are no inputs of an action, its path is.
cc_library(
    name = "headers",
    copts = ["-isystem{root}/include"],
    includes = ["include"],
)

# Static, so that a binary starts where there is neither a toolkit nor a driver.
cc_library(
    name = "cudart",
    linkopts = ["{root}/lib64/libcudart_static.a", "-ldl", "-lrt", "-lpthread"],
    deps = [":headers"],
)
""".format(root = str(root)))

cuda_repository = repository_rule(
    implementation = _cuda_repository_impl,
    environ = ["PARITY_CUDA_DIR"],
    local = True,
)
