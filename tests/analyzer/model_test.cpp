#include "analyzer/model.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/passes/freeze_module.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include <filesystem>
#include <fstream>

#include "analyzer/error.h"
#include "analyzer/inputs.h"
#include "analyzer/tensor_file.h"
#include "tests/support/models.h"

namespace invact {
namespace {

using test::make_mlp;
using test::make_module;
using test::saved_and_loaded;
using test::temporary_path;
using ::testing::HasSubstr;

template <typename Run>
std::string error_of(ErrorKind kind, Run run) {
  try {
    run();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  return "no error";
}

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
  const at::Tensor w = test::parameter({16, 16});
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

class MakeInputsTest : public ::testing::Test {
 protected:
  ModelInputs make(const std::vector<std::string>& texts, uint64_t seed = 0) {
    std::vector<InputSpec> specs;
    for (const std::string& text : texts) specs.push_back(parse_input_spec(text));
    return make_inputs(model_, specs, seed, c10::kCPU);
  }
  std::string usage_error(const std::vector<std::string>& texts) {
    return error_of(ErrorKind::kUsage, [&] { make(texts); });
  }

  Model model_ = saved_and_loaded(make_module("Two", {}, R"(
def forward(self, x, scale: float, mask: Optional[Tensor] = None):
    return x * scale
)"));
};

TEST_F(MakeInputsTest, NamedPositionalNumbersAndDefaults) {
  const ModelInputs inputs = make({"scale=scalar:f32:2..3", "4x5"});
  ASSERT_EQ(inputs.values.size(), 3u);
  EXPECT_EQ(inputs.values[0].toTensor().sizes(), (std::vector<int64_t>{4, 5}));
  EXPECT_TRUE(inputs.values[1].isDouble());
  EXPECT_GE(inputs.values[1].toDouble(), 2);
  EXPECT_TRUE(inputs.values[2].isNone());
  EXPECT_EQ(inputs.records.size(), 2u);
}

TEST_F(MakeInputsTest, TheSameSeedGivesTheSameValues) {
  const std::vector<std::string> specs = {"x=3x3", "scale=scalar"};
  EXPECT_TRUE(make(specs, 5).values[0].toTensor().equal(make(specs, 5).values[0].toTensor()));
  EXPECT_FALSE(make(specs, 5).values[0].toTensor().equal(make(specs, 6).values[0].toTensor()));
}

TEST_F(MakeInputsTest, FaultsAreNamed) {
  EXPECT_THAT(usage_error({}), HasSubstr("forward needs 'x'"));
  EXPECT_THAT(usage_error({}), HasSubstr("scale (float)"));
  EXPECT_THAT(usage_error({"y=4"}), HasSubstr("no argument 'y'; it has: x, scale, mask"));
  EXPECT_THAT(usage_error({"x=4", "x=4"}), HasSubstr("given twice"));
  EXPECT_THAT(usage_error({"4", "scalar", "4", "4"}), HasSubstr("more inputs than arguments"));
  EXPECT_THAT(usage_error({"x=@absent.npy"}), HasSubstr("cannot read"));
}

TEST_F(MakeInputsTest, TracedInputsAreRemadeWithTheirStructure) {
  model_.traced_inputs = std::vector<c10::IValue>{at::empty({2, 3}), 1.5};
  const ModelInputs inputs = make({});
  EXPECT_EQ(inputs.values[0].toTensor().sizes(), (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(inputs.values[1].toDouble(), 1.5);
}

TEST(TensorFileTest, PtRoundTrip) {
  const std::string path = temporary_path("tensor.pt");
  const at::Tensor tensor = at::arange(6).reshape({2, 3});
  const auto pickle = torch::jit::pickle_save(tensor);
  write_file(path, {pickle.begin(), pickle.end()});
  EXPECT_TRUE(read_tensor_file(path).equal(tensor));
}

TEST(TensorFileTest, NpyVersionOne) {
  // numpy.save of np.array([[1, 2], [3, 4]], dtype=np.int16), byte for byte.
  std::string header = "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 2), }";
  header.resize(118 - 1, ' ');
  header += '\n';
  const std::string path = temporary_path("array.npy");
  const std::string bytes = std::string("\x93NUMPY\x01\x00", 8) + std::string("\x76\x00", 2) +
                            header + std::string("\x01\x00\x02\x00\x03\x00\x04\x00", 8);
  write_file(path, bytes);
  EXPECT_TRUE(read_tensor_file(path).equal(at::tensor({1, 2, 3, 4}, at::kShort).reshape({2, 2})));
  write_file(path, bytes.substr(0, bytes.size() - 1));
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { read_tensor_file(path); }),
              HasSubstr("is truncated"));
  write_file(path, "no array");
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { read_tensor_file(path); }),
              HasSubstr("is no .npy"));
}

}  // namespace
}  // namespace invact
