"""C++ code from .proto files by Debian's protoc and grpc_cpp_plugin."""

def cc_protos(name, protos, visibility):
    """Generates messages and service stubs of `protos` (file names without .proto) into one cc_library.

    Include them as "parity/v1/NAME.pb.h" and "parity/v1/NAME.grpc.pb.h".
    """
    outs = []
    for proto in protos:
        for suffix in [".pb.h", ".pb.cc", ".grpc.pb.h", ".grpc.pb.cc"]:
            outs.append(proto + suffix)
    native.genrule(
        name = name + "_generate",
        srcs = [proto + ".proto" for proto in protos],
        outs = outs,
        cmd = " ".join([
            "protoc -Iproto",
            "--cpp_out=$(GENDIR)/proto",
            "--grpc_out=$(GENDIR)/proto",
            "--plugin=protoc-gen-grpc=$$(command -v grpc_cpp_plugin)",
            "$(SRCS)",
        ]),
    )
    native.cc_library(
        name = name,
        srcs = [out for out in outs if out.endswith(".cc")],
        hdrs = [out for out in outs if out.endswith(".h")],
        copts = ["-w"],
        strip_include_prefix = "/proto",
        visibility = visibility,
        deps = [
            "//third_party:absl",
            "//third_party:grpc",
        ],
    )
