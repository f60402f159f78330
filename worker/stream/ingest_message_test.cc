#include "worker/stream/ingest_message.h"

#include <grpcpp/support/slice.h>

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace parity::stream {
namespace {

std::string Text(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(buffer.Dump(&slices).ok());
  std::string text;
  for (const grpc::Slice& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return text;
}

TEST(IngestMessageTest, AFrameIsSentByteForByteAsProtobufWould) {
  for (const size_t bytes : {0, 1, 100, 127, 128, 16'000, 600'000}) {
    for (const int64_t sequence : {int64_t{1}, int64_t{127}, int64_t{128}, int64_t{1} << 40}) {
      v1::IngestRequest request;
      request.mutable_frame()->set_sequence(sequence);
      v1::Frame& frame = *request.mutable_frame()->mutable_frame();
      frame.set_position(3);
      frame.add_tensors()->set_data(std::string(bytes, 'x'));
      EXPECT_EQ(Text(FrameMessage(sequence, capture::WireFrame::From(frame))),
                request.SerializeAsString())
          << bytes << " bytes, sequence " << sequence;
    }
  }
}

TEST(IngestMessageTest, OtherMessagesAreSentAsTheyAre) {
  v1::IngestRequest request;
  request.mutable_seal()->set_captured(7);
  EXPECT_EQ(Text(ToByteBuffer(request)), request.SerializeAsString());
}

TEST(IngestMessageTest, TheMessageSharesTheFramesMemoryAndHoldsIt) {
  v1::Frame frame;
  frame.set_chosen_text(std::string(1000, 'x'));
  capture::WireFramePtr wire = capture::WireFrame::From(frame);
  const char* const memory = wire->pieces()[0].data();
  const std::weak_ptr<const capture::WireFrame> watch = wire;
  {
    const grpc::ByteBuffer message = FrameMessage(1, wire);
    wire.reset();
    EXPECT_FALSE(watch.expired());
    std::vector<grpc::Slice> slices;
    ASSERT_TRUE(message.Dump(&slices).ok());
    EXPECT_EQ(reinterpret_cast<const char*>(slices.back().begin()), memory);
  }
  EXPECT_TRUE(watch.expired());
}

}  // namespace
}  // namespace parity::stream
