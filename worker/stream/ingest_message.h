// Messages of the Ingest RPC as bytes that gRPC sends as they are.
#ifndef PARITY_WORKER_STREAM_INGEST_MESSAGE_H_
#define PARITY_WORKER_STREAM_INGEST_MESSAGE_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstdint>

#include "parity/v1/collector.pb.h"
#include "worker/capture/wire_frame.h"

namespace parity::stream {

grpc::ByteBuffer ToByteBuffer(const v1::IngestRequest& request);

// An IngestRequest with that frame and sequence number. The frame's pieces are not copied: it lives
// until gRPC has let go of the message too.
grpc::ByteBuffer FrameMessage(int64_t sequence, const capture::WireFramePtr& frame);

}  // namespace parity::stream

#endif  // PARITY_WORKER_STREAM_INGEST_MESSAGE_H_
