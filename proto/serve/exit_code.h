// How a program of Parity ends (DESIGN 7): scripts rely on the numbers. Which error has which is
// each program's own matter: a resource that is exhausted is a disk to one and sessions to another.
#ifndef PARITY_PROTO_SERVE_EXIT_CODE_H_
#define PARITY_PROTO_SERVE_EXIT_CODE_H_

namespace parity::serve {

inline constexpr int kExitOk = 0;           // done; a comparison found parity
inline constexpr int kExitDiverged = 1;     // a comparison found a divergence
inline constexpr int kExitUsage = 2;        // usage or bad input
inline constexpr int kExitIncomplete = 3;   // incomplete, lossy or not comparable
inline constexpr int kExitUnavailable = 4;  // unavailable or timed out
inline constexpr int kExitStorage = 5;      // a database or a file cannot be read or written
inline constexpr int kExitDevice = 6;       // the card has failed: a fresh process is needed

}  // namespace parity::serve

#endif  // PARITY_PROTO_SERVE_EXIT_CODE_H_
