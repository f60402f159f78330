#include "collector/cli/tensor_view.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "collector/cli/text.h"
#include "proto/tensor/values.h"

namespace parity::cli {
namespace {

std::string Headline(const v1::Tensor& tensor, const std::vector<float>& values) {
  double low = std::numeric_limits<double>::infinity(), high = -low, sum = 0, squares = 0;
  int64_t finite = 0, nan = 0;
  for (const double value : values) {
    nan += std::isnan(value);
    if (!std::isfinite(value)) continue;
    ++finite;
    low = std::min(low, value);
    high = std::max(high, value);
    sum += value;
    squares += value * value;
  }
  const int64_t kept = static_cast<int64_t>(values.size());
  std::string line = absl::StrCat(
      Printable(tensor.checkpoint()), " ", tensor::DTypeName(tensor.dtype()), " ",
      tensor::ShapeToString(absl::MakeConstSpan(tensor.shape().data(), tensor.shape_size())));
  if (tensor.total_elements() > kept) {
    absl::StrAppend(&line, ", the first ", kept, " of ", tensor.total_elements(), " values kept");
  }
  if (finite > 0) {
    absl::StrAppend(&line, "\nmin ", ShortNumber(low), ", max ", ShortNumber(high), ", mean ",
                    ShortNumber(sum / finite), ", rms ", ShortNumber(std::sqrt(squares / finite)));
  }
  if (finite < kept) {
    absl::StrAppend(&line, "\nNaN ", nan, ", Inf ", kept - finite - nan);
  }
  return line;
}

// Nine digits tell every float from its neighbours.
Cell FloatCell(float value) {
  Cell cell = Cell::Number(value);
  if (std::isfinite(value)) cell.text = absl::StrFormat("%.9g", value);
  return cell;
}

}  // namespace

absl::StatusOr<std::string> RenderTensor(const v1::Tensor& tensor, int64_t values, Format format,
                                         int width) {
  const int bytes = tensor::ElementBytes(tensor.dtype());
  if (bytes == 0 || tensor.data().size() % bytes != 0) {
    return absl::DataLossError(absl::StrCat(tensor.checkpoint(), ": ", tensor.data().size(),
                                            " bytes are no whole number of elements"));
  }
  const std::vector<float> all = tensor::Decode(tensor.dtype(), tensor.data());
  const int64_t shown = values == 0 ? all.size() : std::min<int64_t>(values, all.size());
  Table table({{"index", "index", true}, {"value", "value", true}});
  for (int64_t i = 0; i < shown; ++i) table.AddRow({Cell::Int(i), FloatCell(all[i])});
  std::string out;
  if (format == Format::kTable || format == Format::kMarkdown) {
    out = absl::StrCat(Headline(tensor, all), "\n\n");
  }
  return absl::StrCat(out, table.Render(format, width));
}

}  // namespace parity::cli
