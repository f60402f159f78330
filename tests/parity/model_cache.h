// Where deploy/fetch puts models.
#ifndef PARITY_TESTS_PARITY_MODEL_CACHE_H_
#define PARITY_TESTS_PARITY_MODEL_CACHE_H_

#include <string>

namespace parity::testing {

// ${XDG_CACHE_HOME:-$HOME/.cache}/parity/FILE.
std::string CachedModelPath(const std::string& file);

// Why tests that need the model and libllama cannot run here; empty when they can. `item` is
// deploy/fetch's word for the model.
std::string WhyNoModel(const std::string& path, const std::string& item);

}  // namespace parity::testing

#endif  // PARITY_TESTS_PARITY_MODEL_CACHE_H_
