#include "tests/parity/gemma3.h"

#include <cstdint>

#include "tests/parity/model_cache.h"

namespace parity::testing {
namespace {

constexpr int32_t kPromptTokens = 40;

// The first 64 ids that libllama's tokenizer makes of the English and the code of smollm2.cc, BOS
// before them.
constexpr int32_t kIds[kGemmaPrompts][64] = {
    {2,     818,    53676,  691,   12010, 600,    5597, 236761, 562, 3161,  9909,   236764, 1061,
     72612, 146223, 607,    13501, 20182, 236764, 6267, 2342,   506, 23795, 1651,   506,    38268,
     3939,  855,    236761, 1455,  2255,  880,    2838, 580,    506, 3549,  236764, 520,    2669,
     496,   2657,   236764, 532,   4173,  506,    2940, 1003,   506, 7208,  529,    506,    1822,
     12978, 236764, 1056,   506,   63937, 64222,  1053, 2050,   524, 855,   7057,   657},
    {2,      2063,  22223,  236779, 40835,  236769, 989,    236764, 1447,   1473,   107,
     140,    12234, 17639,  3624,   1156,   19372,  15852,  29738,  107,    140,    3709,
     236764, 858,   236764, 673,    578,    17811,  236743, 236771, 236764, 236743, 236771,
     107,    140,   6858,   858,    655,    5980,   236769, 989,    236768, 532,    673,
     655,    5980,  236769, 898,    1473,   107,    144,    584,    2378,   236840, 236747,
     236842, 6605,  1447,   236840, 236804, 9414,   107,    148,    3709}};

}  // namespace

Sequence Gemma3Sequence(int prompt) { return {.ids = kIds[prompt], .prompt = kPromptTokens}; }

std::string Gemma3Path() { return CachedModelPath("gemma3-270m-q4_k_m.gguf"); }

std::string WhyNoGemma3() { return WhyNoModel(Gemma3Path(), "gemma3"); }

}  // namespace parity::testing
