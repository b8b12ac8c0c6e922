#include "analyzer/model/model.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/passes/freeze_module.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include <filesystem>
#include <fstream>

#include "analyzer/error.h"
#include "tests/support/errors.h"
#include "tests/support/models.h"

namespace invact::testing {
namespace {

using ::testing::HasSubstr;

std::string load_error(const std::string& path) {
  return error_of(ErrorKind::kModel, [&] { load_model(path, c10::kCPU); });
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(LoadModelTest, MissingFileAndFolder) {
  EXPECT_THAT(load_error(temporary_path("absent.pt")), HasSubstr("No such file"));
  EXPECT_THAT(load_error(std::filesystem::temp_directory_path().string()),
              HasSubstr("is a folder"));
}

TEST(LoadModelTest, NoArchive) {
  const std::string path = temporary_path("text.pt");
  write_file(path, "hello, this is no archive");
  EXPECT_THAT(load_error(path), HasSubstr("is no TorchScript archive"));
  write_file(path, "");
  EXPECT_THAT(load_error(path), HasSubstr("is no TorchScript archive"));
}

TEST(LoadModelTest, EveryTruncationIsReportedNotCrashed) {
  const Model model = saved_and_loaded(make_mlp("torch.gelu(h)", 8, 8, 8));
  const std::string bytes = read_file(model.record.path);
  const std::string path = temporary_path("cut.pt");
  for (size_t kept = 10; kept < bytes.size(); kept += bytes.size() / 7) {
    write_file(path, bytes.substr(0, kept));
    EXPECT_THAT(load_error(path), HasSubstr("damaged or truncated")) << kept << " bytes";
  }
}

TEST(LoadModelTest, WeightsThatTorchSaveWrote) {
  const std::string path = temporary_path("state.pt");
  const auto pickle = torch::jit::pickle_save(at::zeros({2}));
  write_file(path, {pickle.begin(), pickle.end()});
  EXPECT_THAT(load_error(path), HasSubstr("torch.save wrote"));
}

TEST(LoadModelTest, ParameterBytesCountTiedWeightsOnce) {
  const at::Tensor w = parameter({16, 16});
  const auto model = saved_and_loaded(make_module(
      "Tied", {{"a", w}, {"b", w}}, "def forward(self, x):\n    return x + self.a + self.b\n"));
  EXPECT_EQ(model.record.parameter_bytes, 16 * 16 * 4);
  EXPECT_EQ(model.record.sha256.size(), 64u);
}

TEST(LoadModelTest, FrozenModelIsRefused) {
  auto module = make_mlp("torch.gelu(h)", 8, 8, 8);
  module.eval();
  const Model frozen = saved_and_loaded(torch::jit::freeze_module(module));
  EXPECT_THAT(error_of(ErrorKind::kModel, [&] { refuse_frozen(frozen); }), HasSubstr("was frozen"));
  refuse_frozen(saved_and_loaded(make_mlp("torch.gelu(h)", 8, 8, 8)));
}

TEST(ModuleRecordsTest, ParentsFirst) {
  auto top = make_module("Top", {}, "def forward(self, x):\n    return x\n");
  auto middle = make_module("Middle", {}, "def forward(self, x):\n    return x\n");
  middle.register_module("leaf", make_module("Leaf", {}, "def forward(self, x):\n    return x\n"));
  top.register_module("m", middle);
  const auto records = module_records(top);
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].path, "");
  EXPECT_EQ(records[1].path, "m");
  EXPECT_EQ(records[2].path, "m.leaf");
}

}  // namespace
}  // namespace invact::testing
