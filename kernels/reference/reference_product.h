// Products with weights as they lie in the file, for the oracle.
#ifndef PARITY_KERNELS_REFERENCE_REFERENCE_PRODUCT_H_
#define PARITY_KERNELS_REFERENCE_REFERENCE_PRODUCT_H_

#include <vector>

#include "kernels/backend.h"

namespace parity::kernels {

// An activation row as a weight type's product reads it.
struct ReferenceActivations {
  std::vector<double> values;  // [cols] rounded or quantised, dequantised again
  std::vector<double> sums;    // [cols / 32] Q8_1's s; empty but for Q4_1 and Q5_1
};

// native: what llama.cpp's CPU backend makes of the row for this weight type; f32: the row itself.
ReferenceActivations PrepareActivations(DType weight_type, Numerics numerics, const float* x,
                                        int64_t cols);

// sum_k weight[row, k] * x[k] in double.
double ReferenceProduct(const WeightSource& weight, int64_t row, const ReferenceActivations& x);

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_REFERENCE_REFERENCE_PRODUCT_H_
