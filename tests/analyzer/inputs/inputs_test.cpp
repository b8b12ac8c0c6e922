#include "analyzer/inputs/inputs.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include <filesystem>
#include <fstream>

#include "analyzer/inputs/tensor_file.h"
#include "tests/support/errors.h"
#include "tests/support/models.h"

namespace invact::testing {
namespace {

using ::testing::HasSubstr;

void write_file(const std::string& path, const std::vector<char>& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<int64_t>(bytes.size()));
}

/// A file as torch.save writes it; its path.
std::string pickled(const std::string& name, const c10::IValue& value) {
  const std::string path = temporary_path(name);
  write_file(path, torch::jit::pickle_save(value));
  return path;
}

/// A scripted model with `signature`, saved and loaded as the command line does.
class Arguments {
 public:
  explicit Arguments(const std::string& signature)
      : model_(saved_and_loaded(make_module(
            "Arguments", {}, "def forward(self, " + signature + "):\n    return 1\n"))) {}

  ModelInputs make(const std::vector<std::string>& texts, uint64_t seed = 0) const {
    std::vector<InputSpec> specs;
    for (const std::string& text : texts) specs.push_back(parse_input_spec(text));
    return make_inputs(model_, specs, seed, c10::kCPU);
  }
  c10::IValue first(const std::vector<std::string>& texts) const {
    return make(texts).values.at(0);
  }
  std::string error(const std::vector<std::string>& texts) const {
    return error_of(ErrorKind::kUsage, [&] { make(texts); });
  }
  Model& model() { return model_; }

 private:
  Model model_;
};

const Arguments& three() {
  static const Arguments arguments("x, scale: float, mask: Optional[Tensor] = None");
  return arguments;
}

TEST(InputsTest, NamedPositionalNumbersAndDefaults) {
  const ModelInputs inputs = three().make({"scale=scalar:f32:2..3", "4x5"});
  ASSERT_EQ(inputs.values.size(), 3u);
  EXPECT_EQ(inputs.values[0].toTensor().sizes(), (std::vector<int64_t>{4, 5}));
  EXPECT_TRUE(inputs.values[1].isDouble());
  EXPECT_GE(inputs.values[1].toDouble(), 2);
  EXPECT_TRUE(inputs.values[2].isNone());
  EXPECT_EQ(inputs.records.size(), 2u);
}

TEST(InputsTest, TheSameSeedGivesTheSameValues) {
  const std::vector<std::string> specs = {"x=3x3", "scale=scalar"};
  const auto x = [&](uint64_t seed) { return three().make(specs, seed).values[0].toTensor(); };
  EXPECT_TRUE(x(5).equal(x(5)));
  EXPECT_FALSE(x(5).equal(x(6)));
}

TEST(InputsTest, FaultsAreNamed) {
  EXPECT_THAT(three().error({}), HasSubstr("forward needs 'x'"));
  EXPECT_THAT(three().error({}), HasSubstr("scale (float)"));
  EXPECT_THAT(three().error({"4"}), HasSubstr("Give --input scale=0.5"));
  EXPECT_THAT(three().error({"y=4"}), HasSubstr("no argument 'y'; it has: x, scale, mask"));
  EXPECT_THAT(three().error({"self=4"}), HasSubstr("no argument 'self'"));
  EXPECT_THAT(three().error({"x=4", "x=4"}), HasSubstr("'x' is given twice"));
  EXPECT_THAT(three().error({"4", "1", "4", "4"}), HasSubstr("more inputs than arguments"));
  EXPECT_THAT(three().error({"x=@absent.npy"}), HasSubstr("cannot read 'absent.npy'"));
  EXPECT_THAT(three().error({"x=@" + temporary_path("")}), HasSubstr("is a folder"));
}

TEST(InputsTest, PlainValues) {
  const ModelInputs inputs = Arguments("n: int, f: float, flag: bool, mode: str, big: float")
                                 .make({"n=-3", "f=0.25", "flag=true", "mode=8x16", "big=4"});
  EXPECT_EQ(inputs.values[0].toInt(), -3);
  EXPECT_EQ(inputs.values[1].toDouble(), 0.25);
  EXPECT_TRUE(inputs.values[2].toBool());
  EXPECT_EQ(inputs.values[3].toStringRef(), "8x16");
  EXPECT_EQ(inputs.values[4].toDouble(), 4);
  ASSERT_EQ(inputs.records.size(), 5u);
  const InputRecord& record = inputs.records[0];
  EXPECT_EQ(record.name, "n");
  EXPECT_EQ(record.tensor, (TensorFacts{"int", {}, 1, 0}));
  EXPECT_EQ(record.fill, "-3");
}

TEST(InputsTest, PlainValuesOfAnotherType) {
  const Arguments arguments("n: int, flag: bool, f: float");
  EXPECT_THAT(arguments.error({"n=2.5"}),
              HasSubstr("'n' is of type int, which '2.5' is not. Accepted: n=3."));
  EXPECT_THAT(arguments.error({"n=4x4"}), HasSubstr("'n' is of type int"));
  EXPECT_THAT(arguments.error({"n=1", "flag=maybe"}), HasSubstr("flag=true, flag=false"));
  EXPECT_THAT(arguments.error({"n=1", "flag=0", "f=fast"}), HasSubstr("'f' is of type float"));
  EXPECT_THAT(arguments.error({"n=scalar:f31"}), HasSubstr("unknown dtype 'f31'"));
}

TEST(InputsTest, OptionalArgumentsTakeAValueOrNone) {
  const Arguments arguments("n: Optional[int], mask: Optional[Tensor], k: Optional[int] = 7");
  const auto given = arguments.make({"n=5", "mask=2x4:bool:ones", "k=none"}).values;
  EXPECT_EQ(given[0].toInt(), 5);
  EXPECT_TRUE(given[1].toTensor().all().item<bool>());
  EXPECT_TRUE(given[2].isNone());
  const auto absent = arguments.make({"n=none", "mask=none"}).values;
  EXPECT_TRUE(absent[0].isNone());
  EXPECT_TRUE(absent[1].isNone());
  EXPECT_EQ(absent[2].toInt(), 7);
  EXPECT_THAT(arguments.error({}), HasSubstr("Give --input n=3, or n=none"));
}

TEST(InputsTest, CausalMask) {
  const at::Tensor mask = Arguments("mask").first({"3x3:bool:tril"}).toTensor();
  EXPECT_TRUE(mask.equal(at::ones({3, 3}, at::kBool).tril()));
}

TEST(InputsTest, ElementsOfATuple) {
  const Arguments arguments("state: Tuple[Tensor, Tuple[int, Tensor]]");
  const ModelInputs inputs = arguments.make({"state.1.1=3", "state.0=2x4", "state.1.0=9"});
  const auto& outer = inputs.values[0].toTupleRef().elements();
  EXPECT_EQ(outer[0].toTensor().sizes(), (std::vector<int64_t>{2, 4}));
  EXPECT_EQ(outer[1].toTupleRef().elements()[0].toInt(), 9);
  ASSERT_EQ(inputs.records.size(), 3u);
  EXPECT_EQ(inputs.records[2].name, "state.1.1");

  EXPECT_THAT(arguments.error({"state.0=2x4"}), HasSubstr("nothing is given for 'state.1'"));
  EXPECT_THAT(arguments.error({"state.2=4"}), HasSubstr("has no element '2'"));
  EXPECT_THAT(arguments.error({"state.a=4"}), HasSubstr("has no element 'a'"));
  EXPECT_THAT(arguments.error({"state=4"}),
              HasSubstr("Accepted: state.0=8x128[:DTYPE[:FILL]] with state.1=VALUE"));
  EXPECT_THAT(arguments.error({"state.0=4", "state.0=5"}), HasSubstr("'state.0' is given twice"));
  EXPECT_THAT(arguments.error({"state=4", "state.0=5"}), HasSubstr("whole and in part"));
  EXPECT_THAT(arguments.error({"state.0=5", "state=4"}), HasSubstr("given twice"));
  EXPECT_THAT(arguments.error({"state.0.1=5"}), HasSubstr("'state.0' (Tensor) has no element"));
}

TEST(InputsTest, ElementsOfAList) {
  const Arguments arguments("parts: List[Tensor], sizes: List[int]");
  const auto values =
      arguments.make({"parts.0=2", "parts.1=3:i64", "sizes.1=5", "sizes.0=4"}).values;
  ASSERT_EQ(values[0].toTensorVector().size(), 2u);
  EXPECT_EQ(values[0].toTensorVector()[1].scalar_type(), at::kLong);
  EXPECT_EQ(values[1].toIntVector(), (std::vector<int64_t>{4, 5}));
  EXPECT_TRUE(arguments.make({"parts=[]", "sizes=[]"}).values[0].toTensorVector().empty());
  EXPECT_THAT(arguments.error({"parts.1=2"}), HasSubstr("nothing is given for 'parts.0'"));
  EXPECT_THAT(arguments.error({"parts.99999999999=2"}),
              HasSubstr("nothing is given for 'parts.0'"));
  EXPECT_THAT(arguments.error({"parts.9223372036854775807=2"}),
              HasSubstr("nothing is given for 'parts.0'"));
  EXPECT_THAT(arguments.error({"parts.-1=2"}), HasSubstr("has no element '-1'"));
  EXPECT_THAT(arguments.error({"parts.first=2"}), HasSubstr("has no element 'first'"));
  EXPECT_THAT(arguments.error({"parts=2x3"}), HasSubstr("parts.0=8x128[:DTYPE[:FILL]] with"));
}

TEST(InputsTest, ElementsOfADict) {
  const Arguments arguments("batch: Dict[str, Tensor], by_level: Dict[int, Tensor]");
  const auto values =
      arguments.make({"batch.ids=2x3:i64:0..9", "batch.mask=2x3:bool:ones", "by_level.4=1"}).values;
  const auto batch = values[0].toGenericDict();
  ASSERT_EQ(batch.size(), 2u);
  EXPECT_EQ(batch.at("ids").toTensor().scalar_type(), at::kLong);
  EXPECT_EQ(values[1].toGenericDict().at(4).toTensor().numel(), 1);
  EXPECT_EQ(arguments.make({"batch={}", "by_level={}"}).values[0].toGenericDict().size(), 0u);
  EXPECT_THAT(arguments.error({"batch=2x3"}), HasSubstr("batch.KEY=8x128[:DTYPE[:FILL]]"));
  EXPECT_THAT(arguments.error({"batch={}", "by_level.low=1"}), HasSubstr("no element 'low'"));
}

TEST(InputsTest, NestedValuesFromAFile) {
  const at::Tensor ids = at::arange(6).reshape({2, 3});
  const std::string tuple = pickled("tuple.pt", c10::ivalue::Tuple::create({ids, 3}));
  const Arguments pair("state: Tuple[Tensor, int]");
  const ModelInputs inputs = pair.make({"state=@" + tuple});
  EXPECT_TRUE(inputs.values[0].toTupleRef().elements()[0].toTensor().equal(ids));
  EXPECT_EQ(inputs.records.at(0).name, "state.0");
  EXPECT_EQ(inputs.records.at(0).fill, "file");

  const std::string list = pickled("list.pt", c10::List<at::Tensor>({ids, ids}));
  EXPECT_EQ(Arguments("parts: List[Tensor]").first({"@" + list}).toTensorVector().size(), 2u);

  c10::Dict<std::string, at::Tensor> batch;
  batch.insert("ids", ids);
  const std::string dict = pickled("dict.pt", batch);
  const auto read = Arguments("batch: Dict[str, Tensor]").first({"@" + dict}).toGenericDict();
  EXPECT_TRUE(read.at("ids").toTensor().equal(ids));

  EXPECT_THAT(pair.error({"state=@" + list}),
              HasSubstr("the file holds a value of type List[Tensor], and"));
  EXPECT_THAT(Arguments("x").error({"@" + tuple}), HasSubstr("and 'x' is of type Tensor"));
}

TEST(InputsTest, AFileOfOneNumberServesForAPlainValue) {
  const std::string path = pickled("number.pt", at::tensor(3));
  EXPECT_EQ(Arguments("n: int").first({"n=@" + path}).toInt(), 3);
  EXPECT_EQ(Arguments("f: float").first({"f=@" + path}).toDouble(), 3);
  EXPECT_THAT(Arguments("mode: str").error({"mode=@" + path}),
              HasSubstr("and 'mode' is of type str"));
}

TEST(InputsTest, TypesThatNoFlagCanMakeSaySo) {
  EXPECT_THAT(Arguments("device: Device").error({"device=cpu"}),
              HasSubstr("trace the model with example inputs instead"));
}

TEST(InputsTest, TracedInputsAreRemadeWithTheirStructure) {
  Arguments arguments("x, scale: float");
  arguments.model().traced_inputs = std::vector<c10::IValue>{at::empty({2, 3}), 1.5};
  const ModelInputs inputs = arguments.make({});
  EXPECT_EQ(inputs.values[0].toTensor().sizes(), (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(inputs.values[1].toDouble(), 1.5);
}

TEST(InputsTest, OneElementOfATracedInputIsReplaced) {
  Arguments arguments("batch: Dict[str, Tensor], parts: List[Tensor]");
  c10::Dict<std::string, at::Tensor> batch;
  batch.insert("ids", at::empty({2, 3}, at::kLong));
  batch.insert("mask", at::empty({2, 3}));
  arguments.model().traced_inputs =
      std::vector<c10::IValue>{batch, c10::List<at::Tensor>({at::empty({1}), at::empty({2})})};
  const ModelInputs inputs = arguments.make({"batch.mask=8x9", "parts.1=7"});
  const auto made = inputs.values[0].toGenericDict();
  EXPECT_EQ(made.at("ids").toTensor().sizes(), (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(made.at("mask").toTensor().sizes(), (std::vector<int64_t>{8, 9}));
  EXPECT_EQ(inputs.values[1].toTensorVector()[0].numel(), 1);
  EXPECT_EQ(inputs.values[1].toTensorVector()[1].numel(), 7);
}

TEST(ValueFileTest, PtRoundTrip) {
  const at::Tensor tensor = at::arange(6).reshape({2, 3});
  EXPECT_TRUE(read_value_file(pickled("tensor.pt", tensor)).toTensor().equal(tensor));
}

TEST(ValueFileTest, FilesOfAnotherKind) {
  const std::string path = temporary_path("text.npy");
  write_file(path, {'n', 'o'});
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { read_value_file(path); }),
              HasSubstr("is no .npy file"));
  const std::string other = temporary_path("text.pt");
  write_file(other, {'n', 'o'});
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { read_value_file(other); }),
              HasSubstr("cannot be read as a tensor"));
}

TEST(ValueFileTest, EveryTruncationOfAPtFileIsReportedNotCrashed) {
  const auto bytes = torch::jit::pickle_save(at::arange(6));
  const std::string path = temporary_path("cut.pt");
  for (size_t count = 0; count + 1 < bytes.size(); count += 7) {
    write_file(path, {bytes.begin(), bytes.begin() + static_cast<int64_t>(count)});
    EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { read_value_file(path); }),
                HasSubstr("cannot be read as a tensor"))
        << count;
  }
}

}  // namespace
}  // namespace invact::testing
