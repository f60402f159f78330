#include "worker/model/gguf_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "tests/testing/gguf_writer.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/tiny_model.h"

namespace parity::model {
namespace {

using ::parity::testing::AppendString;
using ::parity::testing::AppendU32;
using ::parity::testing::AppendU64;
using ::parity::testing::GgufWriter;
using ::parity::testing::StatusIs;
using ::testing::HasSubstr;

absl::Span<const uint8_t> Bytes(const std::string& text) {
  return absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

absl::StatusOr<std::unique_ptr<GgufFile>> Parse(const std::string& bytes) {
  return GgufFile::FromBytes("m.gguf", Bytes(bytes));
}

std::string Header(uint64_t tensors, uint64_t keys) {
  std::string out = "GGUF";
  AppendU32(out, 3);
  AppendU64(out, tensors);
  AppendU64(out, keys);
  return out;
}

// A header for one key, then key and type; the caller appends the value.
std::string OneKey(absl::string_view key, uint32_t type) {
  std::string out = Header(0, 1);
  AppendString(out, key);
  AppendU32(out, type);
  return out;
}

std::string OneTensor(uint32_t n_dims, const std::vector<uint64_t>& ne, uint32_t type,
                      uint64_t offset, size_t data_bytes) {
  std::string out = Header(1, 0);
  AppendString(out, "t");
  AppendU32(out, n_dims);
  for (uint64_t n : ne) AppendU64(out, n);
  AppendU32(out, type);
  AppendU64(out, offset);
  out.resize((out.size() + 31) / 32 * 32 + data_bytes);
  return out;
}

struct HostileCase {
  const char* name;
  std::function<std::string()> bytes;
  const char* message;
};

class HostileTest : public ::testing::TestWithParam<HostileCase> {};

TEST_P(HostileTest, EndsInItsLine) {
  EXPECT_THAT(Parse(GetParam().bytes()), StatusIs(absl::StatusCode::kInvalidArgument,
                                                  std::string("m.gguf: ") + GetParam().message));
}

std::string WithFirst(std::string bytes, size_t at, uint8_t value) {
  bytes[at] = static_cast<char>(value);
  return bytes;
}

// Numbers are the rows of the facts' list of GGUF vulnerability classes.
INSTANTIATE_TEST_SUITE_P(
    Header, HostileTest,
    ::testing::Values(
        HostileCase{"TooSmall", [] { return std::string("GGUF"); },
                    "not a GGUF file: 4 bytes, at least 24 expected"},
        HostileCase{"WrongMagic", [] { return WithFirst(Header(0, 0), 0, 'X'); },
                    "not a GGUF file: begins with 'XGUF', 'GGUF' expected"},
        HostileCase{"BigEndian", [] { return WithFirst(WithFirst(Header(0, 0), 4, 0), 7, 3); },
                    "big-endian GGUF file (version field 0x03000000): only little-endian files "
                    "are supported"},
        HostileCase{"Version1", [] { return WithFirst(Header(0, 0), 4, 1); },
                    "GGUF version 1, 2 or 3 expected"},
        HostileCase{"Version0", [] { return WithFirst(Header(0, 0), 4, 0); },
                    "GGUF version 0, 2 or 3 expected"},
        HostileCase{"Version4", [] { return WithFirst(Header(0, 0), 4, 4); },
                    "GGUF version 4, 2 or 3 expected"},
        HostileCase{"Row1KeyCount", [] { return Header(0, ~uint64_t{0} / 13); },
                    "key count 1418980313362273201, at most 65536 expected"},
        HostileCase{"Row1TensorCount", [] { return Header(~uint64_t{0}, 0); },
                    "tensor count 18446744073709551615, at most 65536 expected"},
        HostileCase{"Row1CountBeyondFile", [] { return Header(0, 60000); },
                    "key count 60000: the 0 bytes left in the file hold at most 0"},
        HostileCase{"Row4KeyLength",
                    [] {
                      std::string s = Header(0, 1);
                      AppendU64(s, ~uint64_t{0});
                      return s + std::string(64, 'a');
                    },
                    "key 0: string of 18446744073709551615 bytes, at most 65535 expected"},
        HostileCase{"Row4StringLength",
                    [] {
                      std::string s = OneKey("k", 8);
                      AppendU64(s, uint64_t{1} << 30);
                      return s;
                    },
                    "key 'k': string of 1073741824 bytes, at most 16777216 expected"},
        HostileCase{"Row4StringBeyondFile",
                    [] {
                      std::string s = OneKey("k", 8);
                      AppendU64(s, 1000);
                      return s;
                    },
                    "key 'k': 1000 bytes needed at offset 45, 0 left in the file (truncated?)"},
        HostileCase{"Row5ArrayCount",
                    [] {
                      std::string s = OneKey("k", 9);
                      AppendU32(s, 4);
                      AppendU64(s, uint64_t{1} << 62);
                      return s;
                    },
                    "key 'k': array of 4611686018427387904 elements, at most 16777216 expected"},
        HostileCase{"Row5ArrayBeyondFile",
                    [] {
                      std::string s = OneKey("k", 9);
                      AppendU32(s, 10);
                      AppendU64(s, 1 << 20);
                      return s;
                    },
                    "key 'k': 8388608 bytes needed at offset 49, 0 left in the file (truncated?)"},
        HostileCase{"Row5NestedArray",
                    [] {
                      std::string s = OneKey("k", 9);
                      AppendU32(s, 9);
                      AppendU64(s, 1);
                      return s;
                    },
                    "key 'k': array of arrays, an array of scalars or strings expected"},
        HostileCase{"UnknownValueType", [] { return OneKey("k", 13) + "x"; },
                    "key 'k': value type 13, 0 to 12 expected"},
        HostileCase{"UnknownElementType",
                    [] {
                      std::string s = OneKey("k", 9);
                      AppendU32(s, 77);
                      return s;
                    },
                    "key 'k': array of value type 77, 0 to 12 expected"},
        HostileCase{"BoolOfSeven", [] { return OneKey("k", 7) + "\7"; },
                    "key 'k': bool of value 7, 0 or 1 expected"},
        HostileCase{"EmptyKey", [] { return OneKey("", 7) + "\1\1"; }, "key 0 is empty"},
        HostileCase{"KeyIsEscaped", [] { return OneKey("\n\x1b[2J", 99); },
                    "key '\\n\\x1b[2J': value type 99, 0 to 12 expected"}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Tensors, HostileTest,
    ::testing::Values(
        HostileCase{"Row2NoDimensions",
                    [] {
                      return OneTensor(0, {1, 1}, 0, 0, 64);
                    },
                    "tensor 't': 0 dimensions, 1 to 4 expected"},
        HostileCase{"Row2TooManyDimensions",
                    [] {
                      return OneTensor(0xffffffffu, {1, 1}, 0, 0, 64);
                    },
                    "tensor 't': 4294967295 dimensions, 1 to 4 expected"},
        HostileCase{"Row3ZeroSize", [] { return OneTensor(1, {0}, 0, 0, 64); },
                    "tensor 't': size 0 of dimension 0, 1 to 2^63-1 expected"},
        HostileCase{"Row3NegativeSize", [] { return OneTensor(1, {~uint64_t{0}}, 0, 0, 64); },
                    "tensor 't': size 18446744073709551615 of dimension 0, 1 to 2^63-1 expected"},
        HostileCase{"Row3ProductOverflow",
                    [] {
                      return OneTensor(4, {1u << 31, 1u << 31, 1u << 31, 1u << 31}, 0, 0, 64);
                    },
                    "tensor 't': the product of its sizes overflows 63 bits"},
        HostileCase{"Row7ByteSizeOverflow",
                    [] {
                      return OneTensor(2, {uint64_t{1} << 31, uint64_t{1} << 31}, 0, 0, 64);
                    },
                    "tensor 't': [2147483648, 2147483648, 1, 1] of F32 is more than the file's "
                    "160 bytes (truncated?)"},
        HostileCase{"Row7RowNotWholeBlocks",
                    [] {
                      return OneTensor(2, {33, 2}, 2, 0, 640);
                    },
                    "tensor 't': rows of 33 values, a multiple of Q4_0's block of 32 expected"},
        HostileCase{"Row10OffsetNotAligned", [] { return OneTensor(1, {4}, 0, 8, 64); },
                    "tensor 't': offset 8 is not a multiple of the alignment 32"},
        HostileCase{"Row11OffsetBeyondFile", [] { return OneTensor(1, {4}, 0, ~uint64_t{31}, 64); },
                    "tensor 't': offset 18446744073709551584 is beyond the file's 128 bytes"},
        HostileCase{"Row11SizeBeyondFile", [] { return OneTensor(1, {16}, 0, 32, 64); },
                    "tensor 't': 64 bytes at offset 32, the data section has 64 (truncated?)"},
        HostileCase{"UnknownTypeBeyondData", [] { return OneTensor(1, {16}, 99, 96, 64); },
                    "tensor 't': 0 bytes at offset 96, the data section has 64 (truncated?)"},
        HostileCase{"NameTooLong",
                    [] {
                      std::string s = Header(1, 0);
                      AppendString(s, std::string(65, 'n'));
                      return s + std::string(64, '\0');
                    },
                    "tensor 0: string of 65 bytes, at most 64 expected"},
        HostileCase{"Row16DuplicateTensor",
                    [] {
                      GgufWriter w;
                      w.AddTensor("t", {8}, 0, std::string(32, '\0'));
                      w.AddTensor("t", {8}, 0, std::string(32, '\0'));
                      return w.Serialize();
                    },
                    "tensor 't' stands twice"},
        HostileCase{"Row11Overlap",
                    [] {
                      GgufWriter w;
                      w.AddTensor("a", {16}, 0, std::string(32, '\0'));  // claims 64 bytes
                      w.AddTensor("b", {8}, 0, std::string(32, '\0'));
                      return w.Serialize();
                    },
                    "tensor 'b': offset 32 is before the end of the tensor in front, 64"},
        HostileCase{"Row16DuplicateKey",
                    [] {
                      GgufWriter w;
                      w.AddU32("k", 1);
                      w.AddU32("k", 2);
                      return w.Serialize();
                    },
                    "key 'k' stands twice"},
        HostileCase{"Row10AlignmentOfWrongType",
                    [] {
                      GgufWriter w;
                      w.AddU64("general.alignment", 32);
                      return w.Serialize();
                    },
                    "key 'general.alignment' is u64, u32 expected"},
        HostileCase{"Row10AlignmentNoPowerOfTwo",
                    [] {
                      GgufWriter w;
                      w.AddU32("general.alignment", 48);
                      return w.Serialize();
                    },
                    "key 'general.alignment' is 48, a power of two from 8 to 1048576 expected"},
        HostileCase{"Row10AlignmentHuge",
                    [] {
                      GgufWriter w;
                      w.AddU32("general.alignment", 1u << 31);
                      return w.Serialize();
                    },
                    "key 'general.alignment' is 2147483648, a power of two from 8 to 1048576 "
                    "expected"},
        HostileCase{"Row10AlignmentZero",
                    [] {
                      GgufWriter w;
                      w.AddU32("general.alignment", 0);
                      return w.Serialize();
                    },
                    "key 'general.alignment' is 0, a power of two from 8 to 1048576 expected"}),
    [](const auto& info) { return info.param.name; });

// Rows 8 and 9: two tensors whose sizes fit each alone, with a sum beyond 2^64.
TEST(GgufFileTest, SumOfSizesCannotWrap) {
  std::string s = Header(2, 0);
  for (const char* name : {"a", "b"}) {
    AppendString(s, name);
    AppendU32(s, 1);
    AppendU64(s, (uint64_t{1} << 62) - 32);
    AppendU32(s, 1);
    AppendU64(s, 0);
  }
  s.resize(256);
  EXPECT_THAT(Parse(s), StatusIs(absl::StatusCode::kInvalidArgument,
                                 HasSubstr("tensor 'a': [4611686018427387872, 1, 1, 1] of F16 is "
                                           "more than the file's 256 bytes")));
}

// Row 6: an array of one type is never read as another.
TEST(GgufFileTest, TypedGettersRefuseOtherTypes) {
  GgufWriter w;
  w.AddI32s("ints", {1, -2});
  w.AddStrings("strings", {"a", "", "ccc"});
  w.AddRaw("bytes", 9, std::string("\1\0\0\0\3\0\0\0\0\0\0\0abc", 15));  // i8[3]
  w.AddF32s("floats", {1.5f});
  w.AddU64("huge", ~uint64_t{0});
  w.AddF32("float", 0.25f);
  w.AddI32("minus", -7);
  w.AddBool("yes", true);
  w.AddString("text", "x");
  const std::string bytes = w.Serialize();
  ASSERT_OK_AND_ASSIGN(const auto file, Parse(bytes));
  EXPECT_EQ(**file->GetIntArray("ints"), (std::vector<int64_t>{1, -2}));
  EXPECT_EQ(**file->GetFloatArray("ints"), (std::vector<float>{1, -2}));
  EXPECT_EQ(**file->GetIntArray("bytes"), (std::vector<int64_t>{'a', 'b', 'c'}));
  EXPECT_EQ(**file->GetStringArray("strings"), (std::vector<std::string>{"a", "", "ccc"}));
  EXPECT_EQ(**file->GetArraySize("strings"), 3);
  EXPECT_EQ(**file->GetInt("minus"), -7);
  EXPECT_EQ(**file->GetFloat("float"), 0.25);
  EXPECT_TRUE(**file->GetBool("yes"));
  EXPECT_EQ(**file->GetString("text"), "x");
  EXPECT_FALSE(file->GetInt("absent")->has_value());
  EXPECT_FALSE(file->Has("absent"));
  const auto invalid = [](absl::string_view line) {
    return StatusIs(absl::StatusCode::kInvalidArgument, std::string(line));
  };
  EXPECT_THAT(file->GetFloatArray("bytes"),
              invalid("m.gguf: key 'bytes' is an array of i8, an array of f32 or i32 expected"));
  EXPECT_THAT(file->GetStringArray("ints"),
              invalid("m.gguf: key 'ints' is an array of i32, an array of string expected"));
  EXPECT_THAT(
      file->GetIntArray("floats"),
      invalid("m.gguf: key 'floats' is an array of f32, an array of integers below 2^63 expected"));
  EXPECT_THAT(file->GetIntArray("text"),
              invalid("m.gguf: key 'text' is string, an array of integers below 2^63 expected"));
  EXPECT_THAT(file->GetInt("huge"),
              invalid("m.gguf: key 'huge' is 18446744073709551615, at most 2^63-1 expected"));
  EXPECT_THAT(file->GetInt("ints"),
              invalid("m.gguf: key 'ints' is an array of i32, an integer expected"));
  EXPECT_THAT(file->GetFloat("minus"), invalid("m.gguf: key 'minus' is i32, f32 or f64 expected"));
  EXPECT_THAT(file->GetBool("minus"), invalid("m.gguf: key 'minus' is i32, bool expected"));
  EXPECT_THAT(file->GetString("yes"), invalid("m.gguf: key 'yes' is bool, string expected"));
  EXPECT_THAT(file->GetArraySize("yes"), invalid("m.gguf: key 'yes' is bool, an array expected"));
}

TEST(GgufFileTest, EveryPrefixIsRefusedOrWhole) {
  testing::TinyModelOptions options;
  options.layers = 1;
  options.width = 32;
  options.heads = 2;
  options.kv_heads = 1;
  options.feed_forward = 32;
  options.vocabulary = 300;
  const std::string whole = testing::TinyModel(options).Serialize();
  ASSERT_OK(Parse(whole));
  size_t metadata_bytes = 0;
  for (size_t length = 0; length < whole.size(); length = length + (length < 16384 ? 1 : 61)) {
    // A copy of exactly this length, so that AddressSanitizer sees the first byte read beyond it.
    const std::vector<uint8_t> prefix(whole.begin(), whole.begin() + length);
    const auto file = GgufFile::FromBytes("m.gguf", prefix);
    ASSERT_FALSE(file.ok()) << "a prefix of " << length << " of " << whole.size() << " bytes";
    ASSERT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
    metadata_bytes = length;
  }
  EXPECT_GT(metadata_bytes, 16384u);
}

// Every single byte of the metadata set to other values: refused or read, never a crash.
TEST(GgufFileTest, FlippedBytesNeverCrash) {
  GgufWriter w;
  w.AddU32("general.alignment", 32);
  w.AddStrings("s", {"one", "two"});
  w.AddI32s("i", {1, 2, 3});
  w.AddTensor("a", {32, 2}, 2, std::string(36, '\1'));
  w.AddTensor("b", {4}, 0, std::string(16, '\2'));
  const std::string whole = w.Serialize();
  ASSERT_OK(Parse(whole));
  int refused = 0;
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const int value : {0, 1, 0x7f, 0x80, 0xff}) {
      const std::vector<uint8_t> bytes = [&] {
        std::vector<uint8_t> copy(whole.begin(), whole.end());
        copy[at] = static_cast<uint8_t>(value);
        return copy;
      }();
      const auto file = GgufFile::FromBytes("m.gguf", bytes);
      if (!file.ok()) {
        ++refused;
        continue;
      }
      unsigned sum = 0;
      for (const TensorInfo& t : (*file)->tensors()) {
        for (uint8_t b : t.bytes) sum += b;
      }
      EXPECT_LT(sum, 255u * whole.size());
      (void)(*file)->Describe();
      (void)(*file)->GetStringArray("s");
      (void)(*file)->GetIntArray("i");
    }
  }
  EXPECT_GT(refused, 200);
}

TEST(GgufFileTest, OpensAFileAndKnowsItsDigest) {
  const std::string path = ::testing::TempDir() + "/one.gguf";
  GgufWriter w;
  w.AddString("general.architecture", "llama");
  w.AddTensor("t", {2, 3}, 0, testing::EncodeValues(kernels::DType::kF32, {0, 1, 2, 3, 4, 5}));
  ASSERT_OK(w.Write(path));
  ASSERT_OK_AND_ASSIGN(const auto file, GgufFile::Open(path));
  EXPECT_EQ(file->name(), "one.gguf");
  EXPECT_EQ(file->size_bytes(), static_cast<int64_t>(w.Serialize().size()));
  const TensorInfo* tensor = file->FindTensor("t");
  ASSERT_NE(tensor, nullptr);
  EXPECT_EQ(tensor->ne[0], 2);
  EXPECT_EQ(tensor->ne[1], 3);
  EXPECT_EQ(tensor->ne[2], 1);
  ASSERT_EQ(tensor->bytes.size(), 24u);
  float last;
  std::memcpy(&last, tensor->bytes.data() + 20, sizeof(last));
  EXPECT_EQ(last, 5.0f);
  EXPECT_EQ(file->FindTensor("u"), nullptr);
  EXPECT_THAT(file->Describe(),
              ::testing::ElementsAre(::testing::Pair("general.architecture", "'llama'")));
}

// The digest is Python's hashlib's, of the 24 bytes "GGUF", version 3 and two zero counts.
TEST(GgufFileTest, DigestIsSha256) {
  const std::string empty = Header(0, 0);
  ASSERT_OK_AND_ASSIGN(const auto file, Parse(empty));
  EXPECT_EQ(file->sha256(), "a4e5e156ddec27e286f75328784d7106b60a4eb1d246e950a001a3f944fbda99");
}

TEST(GgufFileTest, FileErrorsNameTheFile) {
  EXPECT_THAT(GgufFile::Open("/nowhere/m.gguf"),
              StatusIs(absl::StatusCode::kNotFound, "/nowhere/m.gguf: No such file or directory"));
  EXPECT_THAT(GgufFile::Open(::testing::TempDir()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not a regular file")));
  const std::string path = ::testing::TempDir() + "/empty.gguf";
  ASSERT_OK(testing::WriteFile(path, ""));
  EXPECT_THAT(GgufFile::Open(path),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("it is empty")));
}

TEST(GgufFileTest, TensorOfAnUnknownTypeIsListedWithoutBytes) {
  const std::string bytes = OneTensor(2, {8, 8}, 99, 0, 64);
  ASSERT_OK_AND_ASSIGN(const auto file, Parse(bytes));
  EXPECT_EQ(file->tensors()[0].ggml_type, 99u);
  EXPECT_TRUE(file->tensors()[0].bytes.empty());
}

}  // namespace
}  // namespace parity::model
