#include "worker/stream/ingest_message.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/support/slice.h>

#include <vector>

#include "absl/strings/string_view.h"

namespace parity::stream {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedOutputStream;
using SequencedFrame = v1::IngestRequest::SequencedFrame;

constexpr uint32_t kMessage =
    WireFormatLite::MakeTag(v1::IngestRequest::kFrameFieldNumber,  // of the oneof
                            WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
constexpr uint32_t kSequence =
    WireFormatLite::MakeTag(SequencedFrame::kSequenceFieldNumber, WireFormatLite::WIRETYPE_VARINT);
constexpr uint32_t kFrame = WireFormatLite::MakeTag(SequencedFrame::kFrameFieldNumber,
                                                    WireFormatLite::WIRETYPE_LENGTH_DELIMITED);

void Release(void* frame) { delete static_cast<capture::WireFramePtr*>(frame); }

// Not copied; holds the frame.
grpc::Slice SliceOf(absl::string_view piece, const capture::WireFramePtr& frame) {
  // gRPC does not write to slices that it sends.
  return grpc::Slice(const_cast<char*>(piece.data()), piece.size(), Release,
                     new capture::WireFramePtr(frame));
}

}  // namespace

grpc::ByteBuffer ToByteBuffer(const v1::IngestRequest& request) {
  const grpc::Slice slice(request.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

grpc::ByteBuffer FrameMessage(int64_t sequence, const capture::WireFramePtr& frame) {
  const uint64_t number = static_cast<uint64_t>(sequence);
  const uint64_t frame_bytes = static_cast<uint64_t>(frame->bytes());
  const uint64_t bytes = 1 + CodedOutputStream::VarintSize64(number) + 1 +
                         CodedOutputStream::VarintSize64(frame_bytes) + frame_bytes;
  uint8_t head[3 + 3 * 10];  // tags of one byte, varints of at most ten
  uint8_t* end = CodedOutputStream::WriteTagToArray(kMessage, head);
  end = CodedOutputStream::WriteVarint64ToArray(bytes, end);
  end = CodedOutputStream::WriteTagToArray(kSequence, end);
  end = CodedOutputStream::WriteVarint64ToArray(number, end);
  end = CodedOutputStream::WriteTagToArray(kFrame, end);
  end = CodedOutputStream::WriteVarint64ToArray(frame_bytes, end);
  std::vector<grpc::Slice> slices;
  slices.reserve(1 + frame->pieces().size());
  slices.emplace_back(head, static_cast<size_t>(end - head));
  for (const absl::string_view piece : frame->pieces()) slices.push_back(SliceOf(piece, frame));
  return grpc::ByteBuffer(slices.data(), slices.size());
}

}  // namespace parity::stream
