#include "tests/testing/gguf_writer.h"

#include <glog/logging.h>
#ifndef __FLT16_MANT_DIG__
#include <immintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace parity::testing {

namespace {

constexpr int kBlock = 32;  // values of a Q4_0, Q4_1 or Q8_0 block

void AppendHalf(std::string& out, uint16_t half) {
  out.push_back(static_cast<char>(half & 0xff));
  out.push_back(static_cast<char>(half >> 8));
}

int Quantum(float value, float inverse, int low, int high) {
  return std::clamp(static_cast<int>(std::lrintf(value * inverse)), low, high);
}

// Low nibbles are the first half of the block.
void AppendNibbles(std::string& out, const int (&q)[kBlock]) {
  for (int j = 0; j < kBlock / 2; ++j) {
    out.push_back(static_cast<char>(q[j] | (q[j + kBlock / 2] << 4)));
  }
}

void AppendQ4_0(std::string& out, const float* x) {
  float extreme = 0;
  for (int j = 0; j < kBlock; ++j) {
    if (std::fabs(x[j]) > std::fabs(extreme)) extreme = x[j];
  }
  const uint16_t scale = HalfFromFloat(extreme / -8);
  const float d = FloatFromHalf(scale);
  const float inverse = d != 0 ? 1 / d : 0;
  int q[kBlock];
  for (int j = 0; j < kBlock; ++j) q[j] = Quantum(x[j], inverse, -8, 7) + 8;
  AppendHalf(out, scale);
  AppendNibbles(out, q);
}

void AppendQ4_1(std::string& out, const float* x) {
  const auto [low, high] = std::minmax_element(x, x + kBlock);
  const uint16_t scale = HalfFromFloat((*high - *low) / 15);
  const uint16_t minimum = HalfFromFloat(*low);
  const float d = FloatFromHalf(scale);
  const float inverse = d != 0 ? 1 / d : 0;
  int q[kBlock];
  for (int j = 0; j < kBlock; ++j) {
    q[j] = Quantum(x[j] - FloatFromHalf(minimum), inverse, 0, 15);
  }
  AppendHalf(out, scale);
  AppendHalf(out, minimum);
  AppendNibbles(out, q);
}

void AppendQ8_0(std::string& out, const float* x) {
  float largest = 0;
  for (int j = 0; j < kBlock; ++j) largest = std::max(largest, std::fabs(x[j]));
  const uint16_t scale = HalfFromFloat(largest / 127);
  const float d = FloatFromHalf(scale);
  const float inverse = d != 0 ? 1 / d : 0;
  AppendHalf(out, scale);
  for (int j = 0; j < kBlock; ++j) {
    out.push_back(static_cast<char>(Quantum(x[j], inverse, -127, 127)));
  }
}

uint16_t Bfloat16FromFloat(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

}  // namespace

#ifdef __FLT16_MANT_DIG__
uint16_t HalfFromFloat(float value) {
  return std::bit_cast<uint16_t>(static_cast<_Float16>(value));
}

float FloatFromHalf(uint16_t half) { return static_cast<float>(std::bit_cast<_Float16>(half)); }
#else  // Clang before 15, which the fuzzers are built with: the instructions that _Float16 stands
       // for
__attribute__((target("f16c"))) uint16_t HalfFromFloat(float value) {
  return _cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT);
}

__attribute__((target("f16c"))) float FloatFromHalf(uint16_t half) { return _cvtsh_ss(half); }
#endif

std::string EncodeValues(kernels::DType dtype, absl::Span<const float> values) {
  std::string out;
  const auto blocks = [&](void (*append)(std::string&, const float*)) {
    CHECK_EQ(values.size() % kBlock, 0u);
    for (size_t i = 0; i < values.size(); i += kBlock) append(out, values.data() + i);
  };
  switch (dtype) {
    case kernels::DType::kF32:
      out.assign(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
      break;
    case kernels::DType::kF16:
      for (float v : values) AppendHalf(out, HalfFromFloat(v));
      break;
    case kernels::DType::kBF16:
      for (float v : values) AppendHalf(out, Bfloat16FromFloat(v));
      break;
    case kernels::DType::kQ4_0:
      blocks(AppendQ4_0);
      break;
    case kernels::DType::kQ4_1:
      blocks(AppendQ4_1);
      break;
    case kernels::DType::kQ8_0:
      blocks(AppendQ8_0);
      break;
    default:
      LOG(FATAL) << "no test-side quantiser for type " << static_cast<int>(dtype);
  }
  return out;
}

void AppendU32(std::string& out, uint32_t value) {
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

void AppendU64(std::string& out, uint64_t value) {
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

void AppendString(std::string& out, absl::string_view value) {
  AppendU64(out, value.size());
  out.append(value.data(), value.size());
}

void GgufWriter::AddRaw(absl::string_view key, uint32_t type, absl::string_view bytes) {
  ++key_count_;
  AppendString(keys_, key);
  AppendU32(keys_, type);
  keys_.append(bytes.data(), bytes.size());
}

void GgufWriter::AddU32(absl::string_view key, uint32_t value) {
  std::string bytes;
  AppendU32(bytes, value);
  AddRaw(key, 4, bytes);
}

void GgufWriter::AddI32(absl::string_view key, int32_t value) {
  std::string bytes;
  AppendU32(bytes, static_cast<uint32_t>(value));
  AddRaw(key, 5, bytes);
}

void GgufWriter::AddU64(absl::string_view key, uint64_t value) {
  std::string bytes;
  AppendU64(bytes, value);
  AddRaw(key, 10, bytes);
}

void GgufWriter::AddF32(absl::string_view key, float value) {
  std::string bytes;
  AppendU32(bytes, std::bit_cast<uint32_t>(value));
  AddRaw(key, 6, bytes);
}

void GgufWriter::AddBool(absl::string_view key, bool value) {
  AddRaw(key, 7, std::string(1, value ? '\1' : '\0'));
}

void GgufWriter::AddString(absl::string_view key, absl::string_view value) {
  std::string bytes;
  AppendString(bytes, value);
  AddRaw(key, 8, bytes);
}

void GgufWriter::AddStrings(absl::string_view key, const std::vector<std::string>& values) {
  std::string bytes;
  AppendU32(bytes, 8);
  AppendU64(bytes, values.size());
  for (const std::string& v : values) AppendString(bytes, v);
  AddRaw(key, 9, bytes);
}

void GgufWriter::AddI32s(absl::string_view key, const std::vector<int32_t>& values) {
  std::string bytes;
  AppendU32(bytes, 5);
  AppendU64(bytes, values.size());
  for (int32_t v : values) AppendU32(bytes, static_cast<uint32_t>(v));
  AddRaw(key, 9, bytes);
}

void GgufWriter::AddF32s(absl::string_view key, const std::vector<float>& values) {
  std::string bytes;
  AppendU32(bytes, 6);
  AppendU64(bytes, values.size());
  for (float v : values) AppendU32(bytes, std::bit_cast<uint32_t>(v));
  AddRaw(key, 9, bytes);
}

void GgufWriter::AddTensor(absl::string_view name, const std::vector<int64_t>& ne,
                           uint32_t ggml_type, std::string bytes) {
  tensors_.push_back({std::string(name), ne, ggml_type, std::move(bytes)});
}

std::string GgufWriter::Padding(size_t size) const {
  return std::string((alignment_ - static_cast<int64_t>(size) % alignment_) % alignment_, '\0');
}

std::string GgufWriter::Head() const {
  std::string out = "GGUF";
  AppendU32(out, 3);
  AppendU64(out, tensors_.size());
  AppendU64(out, key_count_);
  out += keys_;
  uint64_t offset = 0;
  for (const Tensor& t : tensors_) {
    AppendString(out, t.name);
    AppendU32(out, static_cast<uint32_t>(t.ne.size()));
    for (int64_t n : t.ne) AppendU64(out, static_cast<uint64_t>(n));
    AppendU32(out, t.ggml_type);
    AppendU64(out, offset);
    offset += t.bytes.size() + Padding(t.bytes.size()).size();
  }
  return out + Padding(out.size());
}

std::string GgufWriter::Serialize() const {
  std::string out = Head();
  for (const Tensor& t : tensors_) out += t.bytes + Padding(t.bytes.size());
  return out;
}

absl::Status GgufWriter::Write(const std::string& path) const {
  std::ofstream out(path, std::ios::binary);
  out << Head();
  for (const Tensor& t : tensors_) out << t.bytes << Padding(t.bytes.size());
  out.close();
  return out ? absl::OkStatus() : absl::UnavailableError(absl::StrCat("cannot write ", path));
}

absl::Status WriteFile(const std::string& path, absl::string_view bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  return out ? absl::OkStatus() : absl::UnavailableError(absl::StrCat("cannot write ", path));
}

}  // namespace parity::testing
