"""Links Debian's archives into a program, so that it starts without loading 60 libraries (15 ms) and runs where they are missing.

    cc_binary(name = "parity", linkopts = STATIC, ...)

For the programs that are shipped. Tests stay with the shared libraries: a hundred copies of gRPC would be written and read.
"""

# Abseil's archives in Debian have no transitive list: these are what gRPC, protobuf's users and we reach.
_ABSL = [
    "bad_optional_access",
    "bad_variant_access",
    "base",
    "city",
    "civil_time",
    "cord",
    "cord_internal",
    "cordz_functions",
    "cordz_handle",
    "cordz_info",
    "debugging_internal",
    "demangle_internal",
    "exponential_biased",
    "graphcycles_internal",
    "hash",
    "hashtablez_sampler",
    "int128",
    "log_severity",
    "low_level_hash",
    "malloc_internal",
    "random_internal_platform",
    "random_internal_pool_urbg",
    "random_internal_randen",
    "random_internal_randen_hwaes",
    "random_internal_randen_hwaes_impl",
    "random_internal_randen_slow",
    "random_internal_seed_material",
    "random_seed_gen_exception",
    "raw_hash_set",
    "raw_logging_internal",
    "spinlock_wait",
    "stacktrace",
    "status",
    "statusor",
    "str_format_internal",
    "strerror",
    "strings",
    "strings_internal",
    "symbolize",
    "synchronization",
    "throw_delegate",
    "time",
    "time_zone",
]

# Not among them: libunwind (glog's; its archive is no position-independent code), libxxhash (the archive lacks the choice
# by CPU), simdjson (no archive), libstdc++ (libllama, once opened, has the shared one).
_ARCHIVES = ["absl_" + name for name in _ABSL] + [
    "address_sorting",
    "cares",
    "crypto",
    "gflags",
    "glog",
    "gpr",
    "grpc",
    "grpc++",
    "grpc++_reflection",
    "icudata",
    "icuuc",
    "protobuf",
    "re2",
    "sqlite3",
    "ssl",
    "upb",
    "z",
]

# A binary's own flags come before those of its libraries: an archive's members then define what `-lgrpc` would have been loaded
# for, and --as-needed leaves it out. In a group, order does not matter; an archive nobody needs adds nothing.
STATIC = ["-Wl,-Bstatic,--start-group"] + ["-l" + name for name in _ARCHIVES] + [
    "-Wl,--end-group,-Bdynamic",
    "-Wl,--as-needed,--exclude-libs,ALL",
    "-lunwind",
]
