// From a request to what has to be done: ids, limits, names, checkpoints, provenance.
#ifndef PARITY_WORKER_REQUEST_REQUEST_PLAN_H_
#define PARITY_WORKER_REQUEST_REQUEST_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "parity/v1/worker.pb.h"
#include "worker/capture/capture_spec.h"
#include "worker/capture/frame_sink.h"
#include "worker/capture/jsonl_log.h"
#include "worker/engine/engine.h"
#include "worker/request/generation.h"
#include "worker/tokenizer/tokenizer.h"

namespace parity::request {

// The loaded model and what surrounds it. Pointees must outlive every user.
struct Served {
  engine::Engine* engine;
  const tokenizer::Tokenizer* tokenizer;  // null: none for this model, tokenizer_status says why
  absl::Status tokenizer_status;
  std::string model_name;  // file name without directory
  std::string model_sha256;
  capture::CaptureStore* store = nullptr;  // null: no collector
  capture::JsonlLog* log = nullptr;        // null: no log
  int32_t context_tokens = 0;              // the worker's own limit; 0: the model's
  std::string host;                        // for provenance
};

// Longest sequence the worker accepts.
int32_t ContextTokens(const Served& served);

// What provenance says of every capture of this worker.
v1::Provenance BaseProvenance(const Served& served);

struct Plan {
  GenerationJob job;
  std::string run;
  std::string team;
  bool to_collector = false;
  bool to_log = false;
  capture::Selection selection;  // nothing when neither
  bool shadow = false;
  std::string followed_run;  // of the capture whose ids are fed; empty: the request's own ids
  std::string followed_team;
  int32_t capacity = 0;             // tokens the session must hold
  size_t dropped_prompt_bytes = 0;  // of the prompt text: those that no token stands for
  v1::Provenance provenance;
};

// REQUIRES: Validate(request) was OK. Asks the collector for a followed capture. Errors:
// INVALID_ARGUMENT (prompt too long, with both figures, or empty), FAILED_PRECONDITION (no
// collector; following another model, or ids nobody knows), UNIMPLEMENTED (no tokenizer; an
// engine that cannot substitute), those of CaptureStore::PlanShadow.
absl::StatusOr<Plan> MakePlan(const v1::GenerateRequest& request, const Served& served);

}  // namespace parity::request

#endif  // PARITY_WORKER_REQUEST_REQUEST_PLAN_H_
