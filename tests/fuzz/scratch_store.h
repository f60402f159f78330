// A store in a folder of its own that is removed at the end of the process.
#ifndef PARITY_TESTS_FUZZ_SCRATCH_STORE_H_
#define PARITY_TESTS_FUZZ_SCRATCH_STORE_H_

#include "collector/store/capture_store.h"

namespace parity::fuzz {

// The process's one store, opened at the first call in a new folder under TMPDIR, else
// under /dev/shm. It commits without waiting for more to come. Used by one thread.
store::CaptureStore& ScratchStore();

// Deletes every run, so that one input leaves nothing to the next.
void EmptyScratchStore();

}  // namespace parity::fuzz

#endif  // PARITY_TESTS_FUZZ_SCRATCH_STORE_H_
