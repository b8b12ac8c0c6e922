#include "tests/support/models.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/randn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <numeric>

#include "analyzer/observation/session.h"
#include "kernels/register.h"

namespace invact::testing {
namespace {

namespace fs = std::filesystem;

class TemporaryFolder {
 public:
  TemporaryFolder() : path_(fs::temp_directory_path() / fmt::format("invact_test_{}", getpid())) {
    fs::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace

at::Tensor parameter(std::vector<int64_t> shape, bool requires_grad) {
  const auto seed = std::accumulate(shape.begin(), shape.end(), int64_t{7},
                                    [](int64_t sum, int64_t size) { return 31 * sum + size; });
  auto generator = at::detail::createCPUGenerator(static_cast<uint64_t>(seed));
  return at::randn(shape, generator, at::TensorOptions().dtype(at::kFloat))
      .mul(0.5)
      .set_requires_grad(requires_grad);
}

torch::jit::Module make_module(const std::string& name,
                               const std::vector<std::pair<std::string, at::Tensor>>& parameters,
                               const std::string& source) {
  torch::jit::Module module(name);
  module.register_attribute("training", c10::BoolType::get(), true);
  for (const auto& [parameter_name, value] : parameters) {
    module.register_parameter(parameter_name, value, /*is_buffer=*/false);
  }
  if (!source.empty()) module.define(source);
  return module;
}

torch::jit::Module make_mlp(const std::string& activation, int64_t in, int64_t hidden,
                            int64_t out) {
  return make_module("Mlp", {{"w1", parameter({hidden, in})}, {"w2", parameter({out, hidden})}},
                     fmt::format(R"(
def forward(self, x):
    h = torch.linear(x, self.w1)
    y = {}
    return torch.linear(y, self.w2)
)",
                                 activation));
}

ModelInputs rows(int64_t columns) {
  ModelInputs inputs;
  inputs.values = {at::randn({kRows, columns})};
  return inputs;
}

std::string temporary_path(const std::string& name) {
  static const TemporaryFolder folder;
  return (folder.path() / name).string();
}

Model saved_and_loaded(const torch::jit::Module& module) {
  static int count = 0;
  kernels::ensure_registered();
  prepare_process({});
  const std::string path = temporary_path(fmt::format("model{}.pt", count++));
  module.save(path);
  return load_model(path, c10::kCPU);
}

}  // namespace invact::testing
