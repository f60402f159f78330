// The commands from the command line to the wire and back, against services with canned answers.
#include "collector/cli/parity_app.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "collector/cli/fake_services.h"

namespace parity::cli {
namespace {

struct Outcome {
  ExitCode code;
  std::string out, err;
};

Outcome RunCommand(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "parity");
  std::vector<const char*> argv;
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  std::ostringstream out, err;
  const ExitCode code = RunParity(static_cast<int>(argv.size()), argv.data(), Console{out, err});
  return {code, out.str(), err.str()};
}

class ParityAppTest : public testing::Test {
 protected:
  // Runs against the fake collector.
  Outcome Ask(std::vector<std::string> arguments) {
    arguments.push_back("--collector");
    arguments.push_back(server_.address());
    return RunCommand(std::move(arguments));
  }

  std::string Write(const std::string& name, const std::string& bytes) {
    const std::string path = absl::StrCat(testing::TempDir(), "/", name);
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

  FakeServer server_;
};

v1::Run SampleRun() {
  v1::Run run;
  run.set_name("prompt-1");
  run.set_created_at_nanos(1'700'000'000'000'000'000);
  v1::Capture& capture = *run.add_captures();
  capture.set_team("llama.cpp");
  capture.set_status(v1::CAPTURE_STATUS_COMPLETE);
  capture.mutable_provenance()->set_engine("llama");
  capture.set_tensors(450);
  capture.set_positions(1);
  capture.set_checkpoints(450);
  capture.set_bytes(1'450'000);
  return run;
}

v1::ComparisonRow SampleRow() {
  v1::ComparisonRow row;
  row.set_position(3);
  row.set_checkpoint("layer.0.attn.q_rope");
  row.set_verdict(v1::ROW_VERDICT_DIVERGED);
  row.set_nmse(1.2e-3);
  row.set_floor_nmse(1e-6);
  row.set_floor_multiples(1200);
  row.set_max_abs(0.4);
  row.set_max_abs_index(17);
  row.set_reference_at_max(0.1);
  row.set_candidate_at_max(0.5);
  row.set_mean_abs(0.01);
  row.set_cosine(0.999);
  return row;
}

std::vector<v1::CompareResponse> SampleComparison() {
  v1::CompareResponse row, summary;
  *row.mutable_row() = SampleRow();
  v1::ComparisonSummary& s = *summary.mutable_summary();
  s.set_verdict(v1::VERDICT_DIVERGED);
  s.set_reason("1 of 2 rows diverged");
  s.set_profile("quantised");
  s.set_match(1);
  s.set_diverged(1);
  s.set_coverage(0.9999);
  *s.mutable_first_divergence() = SampleRow();
  s.add_identity("KV cache f16 against f32: legitimate");
  s.add_identity("model sha256 equal");
  s.set_logit_positions(2);
  s.set_top1_matches(1);
  s.set_near_ties(1);
  s.set_mean_kl(0.0036);
  s.set_reference_status(v1::CAPTURE_STATUS_COMPLETE);
  s.set_candidate_status(v1::CAPTURE_STATUS_COMPLETE);
  v1::StageSummary& stage = *s.add_stages();
  stage.set_stage("attn.q_rope");
  stage.set_rows(2);
  stage.set_worst_nmse(1.2e-3);
  stage.set_worst_position(3);
  stage.set_verdict(v1::ROW_VERDICT_DIVERGED);
  stage.set_floor_nmse(1e-6);
  return {row, summary};
}

TEST_F(ParityAppTest, EveryHelpEndsWithExamples) {
  for (const char* command : {"generate", "runs", "show", "import", "diff", "export", "delete"}) {
    const Outcome help = RunCommand({command, "--help"});
    EXPECT_EQ(help.code, ExitCode::kParity);
    const size_t examples = help.out.find("Examples:\n  parity ");
    EXPECT_NE(examples, std::string::npos) << command;
    const std::string call = absl::StrCat("parity ", command, " ");
    EXPECT_NE(help.out.find(call, examples), std::string::npos) << command;
    EXPECT_EQ(help.err, "");
  }
  EXPECT_NE(RunCommand({"--help"}).out.find("Exit codes:"), std::string::npos);
}

TEST_F(ParityAppTest, UsageErrorsAreOneLineAndCodeTwo) {
  const std::vector<std::vector<std::string>> bad = {{},
                                                     {"frobnicate"},
                                                     {"runs", "--frobnicate"},
                                                     {"diff", "r", "--reference", "a"},
                                                     {"run"},
                                                     {"runs"},
                                                     {"runs", "--format", "xml", "--db", "x"},
                                                     {"runs", "--db", "no-such.db"},
                                                     {"export", "r", "--db", "x"},
                                                     {"generate", "--worker", "127.0.0.1:1"}};
  for (const auto& arguments : bad) {
    const Outcome outcome = RunCommand(arguments);
    EXPECT_EQ(outcome.code, ExitCode::kBadInput) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(outcome.err.find("parity: "), 0) << outcome.err;
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
  }
}

TEST_F(ParityAppTest, WhatWouldBeIgnoredIsRefused) {
  const Outcome show = RunCommand({"show", "r", "--db", "x", "--tokens", "--position", "3"});
  EXPECT_EQ(show.code, ExitCode::kBadInput);
  EXPECT_NE(show.err.find("--tokens excludes --position"), std::string::npos) << show.err;
  const Outcome values = RunCommand({"export", "r", "--db", "x", "--values", "3"});
  EXPECT_EQ(values.code, ExitCode::kBadInput);
  EXPECT_NE(values.err.find("--values requires --team"), std::string::npos) << values.err;
}

TEST_F(ParityAppTest, NobodyThereAndTooSlowAreCodeFour) {
  const Outcome nobody = RunCommand({"runs", "--collector", "127.0.0.1:1", "--timeout", "0.2"});
  EXPECT_EQ(nobody.code, ExitCode::kUnavailable);
  EXPECT_EQ(nobody.err, "parity: no collector answers at 127.0.0.1:1 within 0.2 s\n");
  server_.collector.hang = true;
  const Outcome slow = Ask({"runs", "--timeout", "0.2"});
  EXPECT_EQ(slow.code, ExitCode::kUnavailable);
  EXPECT_EQ(slow.err, absl::StrCat("parity: collector at ", server_.address(),
                                   ": not done within 0.2 s (--timeout)\n"));
}

TEST_F(ParityAppTest, RunsListsCaptures) {
  *server_.collector.runs.add_runs() = SampleRun();
  const Outcome table = Ask({"runs", "p*", "--limit", "7"});
  EXPECT_EQ(table.code, ExitCode::kParity);
  EXPECT_EQ(
      table.out,
      "run       created (UTC)        team       status    engine  kind  tokens  checkpoints  "
      "tensors    size  dropped  NaN/Inf\n"
      "prompt-1  2023-11-14 22:13:20  llama.cpp  COMPLETE  llama   free       1          450  "
      "    450  1.4 MB        0        0\n");
  EXPECT_EQ(server_.collector.list_request.limit(), 7);
  EXPECT_EQ(server_.collector.list_request.name_glob(), "p*");
  EXPECT_NE(Ask({"runs", "--format", "jsonl"}).out.find("\"bytes\":1450000"), std::string::npos);
}

TEST_F(ParityAppTest, ShowNamesTheTeamsThereAre) {
  *server_.collector.run.mutable_run() = SampleRun();
  EXPECT_NE(Ask({"show", "prompt-1"}).out.find("engine  llama"), std::string::npos);
  const Outcome missing = Ask({"show", "prompt-1", "--team", "hf"});
  EXPECT_EQ(missing.code, ExitCode::kBadInput);
  EXPECT_EQ(missing.err, "parity: run 'prompt-1' has no team 'hf'; it has: llama.cpp\n");
}

TEST_F(ParityAppTest, ShowPrintsOneTensor) {
  v1::Tensor& tensor = server_.collector.tensor;
  tensor.set_checkpoint("embed");
  tensor.set_dtype(v1::DTYPE_F32);
  tensor.add_shape(3);
  const float values[] = {1.0f, -0.1f, 2.5f};
  tensor.set_data(values, sizeof(values));
  const Outcome shown = Ask(
      {"show", "r", "--team", "t", "--position", "0", "--checkpoint", "embed", "--values", "2"});
  EXPECT_EQ(shown.out,
            "embed F32 [3]\n"
            "min -0.1, max 2.5, mean 1.13, rms 1.56\n"
            "\n"
            "index         value\n"
            "    0             1\n"
            "    1  -0.100000001\n");
  EXPECT_EQ(Ask({"show", "r", "--position", "0"}).code, ExitCode::kBadInput);
}

TEST_F(ParityAppTest, DiffSaysVerdictFirstDivergenceAndStages) {
  server_.collector.comparison = SampleComparison();
  const Outcome diff = Ask({"diff", "r", "--reference", "a", "--candidate", "b"});
  EXPECT_EQ(diff.code, ExitCode::kDiverged);
  EXPECT_EQ(
      diff.out,
      "verdict     DIVERGED\n"
      "why         1 of 2 rows diverged\n"
      "reference   r/a\n"
      "candidate   r/b\n"
      "first       position 3, layer.0.attn.q_rope (DIVERGED): nmse 0.0012, 1.2e+03 x floor, "
      "max abs 0.4 at element 17 (reference 0.1, candidate 0.5)\n"
      "coverage    99.9 % of the rows measured: 1 match, 1 diverged\n"
      "profile     quantised\n"
      "identity    KV cache f16 against f32: legitimate\n"
      "            model sha256 equal\n"
      "\n"
      "stage        rows  worst layer  position  mean nmse  worst nmse  floor  x floor  verdict\n"
      "attn.q_rope     2            0         3          0      0.0012  1e-06  1.2e+03  DIVERGED\n"
      "\n"
      "logits: top-1 equal at 1 of 2 positions (of the 1 others 1 near-ties); KL mean 0.0036, "
      "max 0 nats; nmse mean 0, max 0\n");
  EXPECT_TRUE(server_.collector.compare_request.store());
}

TEST_F(ParityAppTest, ADiffThatCannotBeSavedSaysHowToLookOnly) {
  server_.collector.status = grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "the disk is full");
  const std::vector<std::string> diff = {"diff", "r", "--reference", "a", "--candidate", "b"};
  const Outcome saving = Ask(diff);
  EXPECT_EQ(saving.code, ExitCode::kStorage);
  EXPECT_EQ(saving.err, absl::StrCat("parity: collector at ", server_.address(),
                                     ": the disk is full; --no-save only reads\n"));
}

TEST_F(ParityAppTest, DiffSendsItsSelection) {
  server_.collector.comparison = SampleComparison();
  const Outcome diff = Ask({"diff", "r", "--reference", "a", "--candidate", "b", "--candidate-run",
                            "r2", "--checkpoint", "logits,embed", "--positions", "2-5", "--profile",
                            "f32", "--no-save", "--rows"});
  EXPECT_NE(diff.out.find("candidate   r2/b\n"), std::string::npos);
  EXPECT_NE(diff.out.find("       3  layer.0.attn.q_rope  DIVERGED  0.0012"), std::string::npos);
  const v1::CompareRequest& request = server_.collector.compare_request;
  EXPECT_EQ(request.checkpoints_size(), 2);
  EXPECT_EQ(request.first_position(), 2);
  EXPECT_EQ(request.last_position(), 5);
  EXPECT_EQ(request.profile(), "f32");
  EXPECT_FALSE(request.store());
}

TEST_F(ParityAppTest, DiffOfAShadowCaptureSaysWhatARowMeans) {
  server_.collector.comparison = SampleComparison();
  server_.collector.comparison[0].mutable_row()->set_measured_from("layer.0.attn.q");
  EXPECT_NE(Ask({"diff", "r", "--reference", "a", "--candidate", "b"})
                .out.find("shadow run  each row is one op's own error"),
            std::string::npos);
}

TEST_F(ParityAppTest, DiffTextFormatsComeFromExportAndSaveOnce) {
  server_.collector.comparison = SampleComparison();
  server_.collector.chunks = {"a,b\n", "1,2\n"};
  const Outcome csv =
      Ask({"diff", "r", "--reference", "a", "--candidate", "b", "--format", "parity-csv"});
  EXPECT_EQ(csv.code, ExitCode::kDiverged);
  EXPECT_EQ(csv.out, "a,b\n1,2\n");
  EXPECT_EQ(csv.err, "parity: DIVERGED: 1 of 2 rows diverged\n");
  EXPECT_TRUE(server_.collector.compare_request.store());
  EXPECT_FALSE(server_.collector.export_request.compare().store());
  EXPECT_EQ(server_.collector.export_request.format(), v1::ExportRequest::FORMAT_PARITY_CSV);
  const Outcome json =
      Ask({"diff", "r", "--reference", "a", "--candidate", "b", "--format", "json", "--rows"});
  EXPECT_EQ(json.out.find("{\"summary\":{\"verdict\":\"DIVERGED\""), 0);
  EXPECT_NE(json.out.find("\"rows\":[\n{\"position\":3"), std::string::npos);
}

TEST_F(ParityAppTest, DiffNeverPassesAnIncompleteCapture) {
  server_.collector.comparison = SampleComparison();
  v1::ComparisonSummary& summary = *server_.collector.comparison[1].mutable_summary();
  summary.set_verdict(v1::VERDICT_PARITY);
  summary.set_candidate_status(v1::CAPTURE_STATUS_INCOMPLETE);
  const Outcome diff = Ask({"diff", "r", "--reference", "a", "--candidate", "b"});
  EXPECT_EQ(diff.code, ExitCode::kIncomplete);
  EXPECT_NE(diff.out.find("candidate   r/b (INCOMPLETE)"), std::string::npos);
  server_.collector.comparison.pop_back();  // a stream cut off before its summary
  EXPECT_EQ(Ask({"diff", "r", "--reference", "a", "--candidate", "b"}).code, ExitCode::kStorage);
}

TEST_F(ParityAppTest, ErrorsOfTheCollectorKeepTheirWords) {
  server_.collector.status = grpc::Status(grpc::StatusCode::NOT_FOUND, "run 'r': no team 'b'");
  const Outcome diff = Ask({"diff", "r", "--reference", "a", "--candidate", "b"});
  EXPECT_EQ(diff.code, ExitCode::kBadInput);
  EXPECT_EQ(diff.err,
            absl::StrCat("parity: collector at ", server_.address(), ": run 'r': no team 'b'\n"));
}

TEST_F(ParityAppTest, ImportSendsFilesAndLocatesDamage) {
  const std::string a = Write("a.jsonl", "1\n"), b = Write("b.jsonl", "2\n3\n");
  const std::string aliases = Write("names.txt", "x logits\n");
  v1::ImportResponse& imported = server_.collector.imported;
  imported.set_lines(3);
  imported.set_damaged(2);
  imported.add_damage("logs:3: found '3', expected an object");
  imported.add_teams("llama.cpp");
  const Outcome outcome = Ask({"import", "--run", "r", "--alias-file", aliases, "--replace", a, b});
  EXPECT_EQ(outcome.code, ExitCode::kIncomplete);
  EXPECT_EQ(server_.collector.import_bytes, "1\n2\n3\n");
  EXPECT_EQ(server_.collector.import_options.aliases().at("x"), "logits");
  EXPECT_TRUE(server_.collector.import_options.replace());
  EXPECT_EQ(outcome.err, absl::StrCat("parity: ", b, ":2: found '3', expected an object\n",
                                      "parity: ... and 1 more damaged lines\n"));
  EXPECT_NE(outcome.out.find("damaged      2\n"), std::string::npos);
}

TEST_F(ParityAppTest, ImportOfAMissingFileSendsNothing) {
  const std::string a = Write("a.jsonl", "1\n");
  const Outcome outcome = Ask({"import", "--run", "r", a, "no-such.jsonl"});
  EXPECT_EQ(outcome.code, ExitCode::kBadInput);
  EXPECT_EQ(outcome.err, "parity: no-such.jsonl: No such file or directory\n");
  EXPECT_EQ(server_.collector.imports, 0);
  const std::string db = absl::StrCat(testing::TempDir(), "/never.db");
  EXPECT_EQ(RunCommand({"import", "--run", "r", "no-such.jsonl", "--db", db}).code,
            ExitCode::kBadInput);
  EXPECT_FALSE(std::filesystem::exists(db));
}

TEST_F(ParityAppTest, ImportIntoAFileStoresTheWholeLogOrNothing) {
  const std::string line =
      R"({"team":"t","checkpoint":"logits","token_idx":0,"values":[1,2.5,-3]})";
  const std::string good = Write("one-line.jsonl", line + "\n");
  const std::string bad = Write("half-a-line.jsonl", line + "\n{\"team\"\n");
  const std::string db = absl::StrCat(testing::TempDir(), "/imported.db");
  const std::vector<std::string> import = {"import", "--run", "r", "--db", db};
  const auto with = [](std::vector<std::string> arguments, std::vector<std::string> more) {
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunCommand(std::move(arguments));
  };
  const Outcome strict = with(import, {"--strict", bad});
  EXPECT_EQ(strict.code, ExitCode::kBadInput);
  EXPECT_EQ(strict.err.find(absl::StrCat("parity: ", bad, ":2: ")), 0) << strict.err;
  const Outcome late = with(import, {"--timeout", "1e-9", good});
  EXPECT_EQ(late.code, ExitCode::kUnavailable);
  EXPECT_EQ(late.err, "parity: not done within 1e-09 s (--timeout)\n");
  EXPECT_EQ(with({"import", "--run", "no such name", "--db", db}, {good}).code,
            ExitCode::kBadInput);
  const Outcome full = with(import, {"--min-free-mib", "1073741824", good});  // a PiB
  EXPECT_EQ(full.code, ExitCode::kStorage);
  EXPECT_NE(full.err.find(" MiB free, and 1073741824 MiB are to stay (--min-free-mib); "),
            std::string::npos)
      << full.err;
  EXPECT_FALSE(std::filesystem::exists(db)) << "nothing stored, so no file";
  EXPECT_FALSE(std::filesystem::exists(db + ".lock"));
  const Outcome damaged = with(import, {bad});
  EXPECT_EQ(damaged.code, ExitCode::kIncomplete);
  EXPECT_NE(damaged.out.find("tensors      1\n"), std::string::npos) << damaged.out;
  EXPECT_EQ(RunCommand({"show", "r", "--db", db}).code, ExitCode::kParity);
  const Outcome again = with(import, {good});
  EXPECT_EQ(again.err, "parity: run \"r\" already has a capture of team \"t\"\n");
  EXPECT_EQ(RunCommand({"show", "r", "--db", db}).code, ExitCode::kParity) << "was there before";
}

TEST_F(ParityAppTest, ExportWritesAWholeFileOrNone) {
  server_.collector.chunks = {"{}\n", "{}\n"};
  const std::string path = absl::StrCat(testing::TempDir(), "/out.jsonl");
  EXPECT_EQ(Ask({"export", "r", "--team", "t", "-o", path}).code, ExitCode::kParity);
  EXPECT_EQ(std::filesystem::file_size(path), 6);
  EXPECT_EQ(server_.collector.export_request.compare().reference(), "t");
  EXPECT_EQ(server_.collector.export_request.format(), v1::ExportRequest::FORMAT_CAPTURE_JSONL);
  server_.collector.status = grpc::Status(grpc::StatusCode::DATA_LOSS, "broken");
  const std::string bad = absl::StrCat(testing::TempDir(), "/bad.jsonl");
  const Outcome failed = Ask({"export", "r", "--team", "t", "-o", bad});
  EXPECT_EQ(failed.code, ExitCode::kStorage);
  EXPECT_FALSE(std::filesystem::exists(bad));
  EXPECT_FALSE(std::filesystem::exists(bad + ".partial"));
  EXPECT_EQ(failed.err, absl::StrCat("parity: collector at ", server_.address(), ": broken\n"));
  const Outcome nowhere = Ask({"export", "r", "--team", "t", "-o", "/no-such-folder/x"});
  EXPECT_EQ(nowhere.code, ExitCode::kStorage);
  EXPECT_EQ(nowhere.err, "parity: /no-such-folder/x.partial: No such file or directory\n");
}

TEST_F(ParityAppTest, ASignalInTheMiddleOfAnExportLeavesNoFile) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";  // a server's threads do not outlive fork()
  const std::string path = absl::StrCat(testing::TempDir(), "/interrupted.jsonl");
  server_.collector.chunks = {"{}\n"};
  server_.collector.before_export = [partial = path + ".partial"] {
    if (!std::filesystem::exists(partial)) std::_Exit(1);
    kill(getpid(), SIGINT);
    pause();
  };
  EXPECT_EXIT(
      {
        signal(SIGINT, SIG_DFL);  // whoever runs the test may ignore it
        Ask({"export", "r", "--team", "t", "-o", path});
      },
      testing::KilledBySignal(SIGINT), "");
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(std::filesystem::exists(path + ".partial"));
}

TEST_F(ParityAppTest, WhatAKilledExportLeftIsWrittenOver) {
  server_.collector.chunks = {"{}\n"};
  const std::string path = absl::StrCat(testing::TempDir(), "/again.jsonl");
  std::ofstream(path + ".partial") << "more than the whole of the next export";
  EXPECT_EQ(Ask({"export", "r", "--team", "t", "-o", path}).code, ExitCode::kParity);
  EXPECT_EQ(std::filesystem::file_size(path), 3);
  EXPECT_FALSE(std::filesystem::exists(path + ".partial"));
}

TEST_F(ParityAppTest, ExportWritesIntoAPipeAndThroughALink) {
  server_.collector.chunks = {"{}\n", "{}\n"};
  const std::string pipe = absl::StrCat(testing::TempDir(), "/pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::string read;
  std::thread reader([&] { std::getline(std::ifstream(pipe), read, '\0'); });
  EXPECT_EQ(Ask({"export", "r", "--team", "t", "-o", pipe}).code, ExitCode::kParity);
  reader.join();
  EXPECT_EQ(read, "{}\n{}\n");
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
  const std::string file = absl::StrCat(testing::TempDir(), "/file.jsonl");
  const std::string link = absl::StrCat(testing::TempDir(), "/link.jsonl");
  std::filesystem::create_symlink("file.jsonl", link);
  EXPECT_EQ(Ask({"export", "r", "--team", "t", "-o", link}).code, ExitCode::kParity);
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(std::filesystem::file_size(file), 6);
}

TEST_F(ParityAppTest, ExportIntoADirectoryOrAFullDeviceIsRefused) {
  server_.collector.chunks = {"{}\n"};
  const std::string path = absl::StrCat(testing::TempDir(), "/in-the-way.jsonl");
  std::filesystem::create_directory(path + ".partial");
  EXPECT_EQ(Ask({"export", "r", "--team", "t", "-o", path}).err,
            absl::StrCat("parity: ", path, ".partial: Is a directory\n"));
  EXPECT_TRUE(std::filesystem::is_directory(path + ".partial")) << "somebody else's";
  const Outcome directory = Ask({"export", "r", "--team", "t", "-o", testing::TempDir()});
  EXPECT_EQ(directory.code, ExitCode::kBadInput);
  EXPECT_NE(directory.err.find("is a directory, expected a file"), std::string::npos);
  const Outcome full = Ask({"export", "r", "--team", "t", "-o", "/dev/full"});
  EXPECT_EQ(full.code, ExitCode::kStorage);
  EXPECT_EQ(full.err, "parity: /dev/full: the output cannot be written\n");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
}

TEST_F(ParityAppTest, TextThatIsNotUtf8IsRefusedBeforeItIsSent) {
  const Outcome team = Ask({"show", "r", "--team", "\xff"});
  EXPECT_EQ(team.code, ExitCode::kBadInput);
  EXPECT_EQ(team.err, "parity: --team '\\xff': expected UTF-8\n");
  EXPECT_EQ(Ask({"runs", "\xc3"}).err, "parity: GLOB '\\xc3': expected UTF-8\n");
  // A file may have any name.
  const Outcome file = RunCommand({"import", "--run", "r", "no-\xff", "--db", "x"});
  EXPECT_EQ(file.err, "parity: no-\\xff: No such file or directory\n");
}

TEST_F(ParityAppTest, AServerOfAnotherKindIsNamedAsSuch) {
  // What gRPC answers for a service that is not there.
  server_.collector.status = grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "");
  EXPECT_EQ(Ask({"export", "r", "--team", "t"}).err,
            absl::StrCat("parity: collector at ", server_.address(),
                         ": serves no such call (UNIMPLEMENTED)\n"));
}

TEST_F(ParityAppTest, DeleteAsksForYes) {
  EXPECT_EQ(Ask({"delete", "r"}).code, ExitCode::kBadInput);
  EXPECT_EQ(server_.collector.deletes, 0);
  server_.collector.deleted.set_captures(1);
  server_.collector.deleted.set_tensors(450);
  EXPECT_EQ(Ask({"delete", "r", "--team", "t", "--yes"}).out,
            "deleted run 'r' team 't': 1 capture, 450 tensors\n");
  EXPECT_EQ(server_.collector.delete_request.team(), "t");
}

class GenerateTest : public ParityAppTest {
 protected:
  Outcome Generate(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"generate", "--worker", server_.address(), "--prompt",
                                          "Hi"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunCommand(arguments);
  }

  v1::GenerateEvent::Finished& Script() {
    v1::GenerateEvent token, finished;
    token.mutable_token()->set_text("Grüße");
    finished.mutable_finished()->set_reason(v1::FINISH_REASON_LENGTH);
    finished.mutable_finished()->set_prompt_tokens(2);
    finished.mutable_finished()->set_generated_tokens(1);
    server_.worker.events = {token, finished};
    return *server_.worker.events.back().mutable_finished();
  }
};

TEST_F(GenerateTest, TextToStandardOutputFiguresToStandardError) {
  Script().set_prefill_nanos(1'000'000'000);
  const Outcome outcome = Generate();
  EXPECT_EQ(outcome.code, ExitCode::kParity);
  EXPECT_EQ(outcome.out, "Grüße\n");
  EXPECT_EQ(outcome.err, "parity: LENGTH: 2 prompt tokens (2.0 tokens/s), 1 generated\n");
  EXPECT_EQ(server_.worker.request.prompt(), "Hi");
  EXPECT_EQ(Generate({"--format", "jsonl"}).out.find("{\"token\":{"), 0);
}

TEST_F(GenerateTest, BytesOfThePromptWithoutATokenAreSaid) {
  Script();
  v1::GenerateEvent started;
  started.mutable_started()->set_dropped_prompt_bytes(3);
  server_.worker.events.insert(server_.worker.events.begin(), started);
  EXPECT_EQ(Generate().err,
            "parity: 3 bytes of the prompt have no token and were left out\n"
            "parity: LENGTH: 2 prompt tokens, 1 generated\n");
}

TEST_F(GenerateTest, ExitCodesSayHowItEnded) {
  v1::GenerateEvent::Finished& finished = Script();
  finished.mutable_capture()->set_captured(3);
  finished.set_capture_status(v1::CAPTURE_STATUS_INCOMPLETE);
  EXPECT_EQ(Generate().code, ExitCode::kIncomplete);
  finished.set_capture_status(v1::CAPTURE_STATUS_COMPLETE);
  EXPECT_EQ(Generate().code, ExitCode::kParity);
  finished.set_reason(v1::FINISH_REASON_DEADLINE);
  EXPECT_EQ(Generate().code, ExitCode::kUnavailable);
  finished.set_reason(v1::FINISH_REASON_ERROR);
  EXPECT_EQ(Generate().code, ExitCode::kIncomplete);
  server_.worker.status = grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "all sessions busy");
  EXPECT_EQ(Generate().code, ExitCode::kUnavailable);
  server_.worker.status = grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "max_tokens");
  EXPECT_EQ(Generate().code, ExitCode::kBadInput);
}

}  // namespace
}  // namespace parity::cli
