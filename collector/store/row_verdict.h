// What a row's verdict says about its metrics.
#ifndef PARITY_COLLECTOR_STORE_ROW_VERDICT_H_
#define PARITY_COLLECTOR_STORE_ROW_VERDICT_H_

#include "parity/v1/collector.pb.h"

namespace parity::store {

// Whether the row's two sides were compared, so that it has metrics.
inline bool IsMeasured(v1::RowVerdict verdict) {
  return verdict == v1::ROW_VERDICT_MATCH || verdict == v1::ROW_VERDICT_DRIFT ||
         verdict == v1::ROW_VERDICT_DIVERGED || verdict == v1::ROW_VERDICT_INVALID;
}

}  // namespace parity::store

#endif  // PARITY_COLLECTOR_STORE_ROW_VERDICT_H_
