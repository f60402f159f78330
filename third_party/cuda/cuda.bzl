"""Kernels: one source compiled by nvcc for the card, and by the host's compiler for the emulation."""

load("@cuda//:defs.bzl", "CUDA_AVAILABLE", "NVCC")

# Ampere and Hopper as machine code; PTX for every card that is younger.
_ARCHITECTURES = [
    "-gencode=arch=compute_80,code=sm_80",
    "-gencode=arch=compute_90a,code=sm_90a",
    "-gencode=arch=compute_80,code=compute_80",
]

# -fmad: products and sums are fused where the source says fmaf, nowhere else: two variants of a kernel give the same bits.
_FLAGS = ["-std=c++20", "-O3", "-fmad=false", "-Werror=all-warnings", "-Xptxas=-v,-warn-spills", "-Xcompiler=-fPIC,-Wall,-Wextra,-Wno-unused-parameter"]

# The emulation finds what a kernel reads and writes beyond its memory.
SANITIZED = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer", "-g1"]

def cuda_library(name, srcs, textual_hdrs, headers, deps, emulated_deps, visibility):
    """Libraries `name` (only with a toolkit) and `name`_emulated (testonly) of the kernels in `srcs`.

    Args:
      name: of the library.
      srcs: .cu files.
      textual_hdrs: .cuh files and headers of this package that they include.
      headers: files of other packages that they include.
      deps: what declares the launches, for both.
      emulated_deps: the emulation.
      visibility: of both.
    """
    emulated = []
    for src in srcs:
        stem = src[:-len(".cu")]
        native.genrule(
            name = stem + "_emulated_source",
            testonly = True,
            outs = [stem + "_emulated.cc"],
            cmd = "echo '#include \"{}/{}\"' > $@".format(native.package_name(), src),
        )
        emulated.append(stem + "_emulated.cc")
    native.cc_library(
        name = name + "_emulated",
        testonly = True,
        srcs = emulated,
        copts = SANITIZED,
        linkopts = ["-fsanitize=address,undefined"],
        textual_hdrs = srcs + textual_hdrs,
        visibility = visibility,
        deps = deps + emulated_deps,
    )
    if not CUDA_AVAILABLE:
        return
    objects = []
    for src in srcs:
        stem = src[:-len(".cu")]
        native.genrule(
            name = stem + "_object",
            srcs = [src] + textual_hdrs + headers,
            outs = [stem + ".pic.o", stem + ".resources"],
            cmd = "{} -c $(location {}) -o $(location {}.pic.o) -I. {} 2> $(location {}.resources) || (cat $(location {}.resources) >&2; exit 1)".format(
                NVCC,
                src,
                stem,
                " ".join(_FLAGS + _ARCHITECTURES),
                stem,
                stem,
            ),
            message = "Compiling for the card",
        )
        objects.append(stem + ".pic.o")
    native.cc_library(
        name = name,
        srcs = objects,
        visibility = visibility,
        deps = deps + ["@cuda//:cudart"],
    )

    # Registers, shared memory and spills of every kernel, as ptxas counts them.
    native.genrule(
        name = name + "_resources",
        srcs = [src[:-len(".cu")] + ".resources" for src in srcs],
        outs = [name + "_resources.txt"],
        cmd = "cat $(SRCS) | c++filt | grep -E 'Compiling entry|registers|spill' > $@",
    )
