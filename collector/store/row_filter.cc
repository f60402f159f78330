#include "collector/store/row_filter.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "proto/checkpoint/name.h"

namespace parity::store {
namespace {

constexpr int kMaxGlobs = 1024;
constexpr size_t kMaxGlobBytes = 256;

}  // namespace

absl::StatusOr<RowFilter> SelectRows(const std::vector<CheckpointInfo>& checkpoints,
                                     int32_t first_position, int32_t last_position,
                                     const google::protobuf::RepeatedPtrField<std::string>& globs) {
  if (first_position < 0 || last_position < first_position) {
    return absl::InvalidArgumentError(absl::StrCat("positions ", first_position, " to ",
                                                   last_position, ", expected 0 <= first <= last"));
  }
  if (globs.size() > kMaxGlobs) {
    return absl::InvalidArgumentError(
        absl::StrCat(globs.size(), " checkpoint globs, at most ", kMaxGlobs));
  }
  for (const std::string& glob : globs) {
    if (glob.size() > kMaxGlobBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("a checkpoint glob of ", glob.size(), " bytes, at most ", kMaxGlobBytes));
    }
  }
  RowFilter filter;
  filter.first_position = first_position;
  filter.last_position = last_position;
  if (globs.empty()) return filter;
  filter.checkpoints.reserve(checkpoints.size());
  for (const CheckpointInfo& info : checkpoints) {
    filter.checkpoints.push_back(std::any_of(
        globs.begin(), globs.end(),
        [&](const std::string& glob) { return checkpoint::GlobMatches(glob, info.name); }));
  }
  return filter;
}

}  // namespace parity::store
