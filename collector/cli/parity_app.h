// The whole command line: parses it and runs the command it names.
#ifndef PARITY_COLLECTOR_CLI_PARITY_APP_H_
#define PARITY_COLLECTOR_CLI_PARITY_APP_H_

#include "collector/cli/console.h"
#include "collector/cli/exit_code.h"

namespace parity::cli {

// Never throws. A failure is one line on `console.err`; the code says which kind it was.
ExitCode RunParity(int argc, const char* const* argv, const Console& console);

}  // namespace parity::cli

#endif  // PARITY_COLLECTOR_CLI_PARITY_APP_H_
