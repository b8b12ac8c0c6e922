// Time of the operators' forward and backward beside ATen's, and of a plain copy of the same
// tensors: what memory alone costs. Figures are per element; run `invact_kernels_bench
// --benchmark_filter=gelu` for one operator, and one thread by OMP_NUM_THREADS=1. Forward is timed
// with autograd on, because packing the bits is part of it.
#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>
#include <benchmark/benchmark.h>
#include <torch/csrc/autograd/autograd.h>

#include <string>
#include <tuple>

#include "kernels/ops.h"

namespace {

using UnaryOperator = at::Tensor (*)(const at::Tensor&);

struct Operator {
  const char* name;
  UnaryOperator call;
};

constexpr Operator kOperators[] = {
    {"invact::gelu", [](const at::Tensor& x) { return invact::gelu(x); }},
    {"aten::gelu", [](const at::Tensor& x) { return at::gelu(x); }},
    {"invact::gelu_tanh", [](const at::Tensor& x) { return invact::gelu(x, "tanh"); }},
    {"aten::gelu_tanh", [](const at::Tensor& x) { return at::gelu(x, "tanh"); }},
    {"invact::silu", [](const at::Tensor& x) { return invact::silu(x); }},
    {"aten::silu", [](const at::Tensor& x) { return at::silu(x); }},
};

constexpr at::ScalarType kDtypes[] = {at::kFloat, at::kBFloat16, at::kHalf};
constexpr int64_t kCounts[] = {1 << 12, 1 << 20, 1 << 24};

at::Tensor input_of(const benchmark::State& state, at::ScalarType dtype) {
  at::manual_seed(1);
  return at::randn({state.range(0)}, at::TensorOptions(at::kFloat)).to(dtype);
}

void report(benchmark::State& state) {
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void copy(benchmark::State& state, at::ScalarType dtype) {
  const at::Tensor from = input_of(state, dtype);
  at::Tensor to = at::empty_like(from);
  for (auto _ : state) benchmark::DoNotOptimize(to.copy_(from));
  report(state);
}

void forward(benchmark::State& state, UnaryOperator call, at::ScalarType dtype) {
  const at::Tensor input = input_of(state, dtype).requires_grad_();
  for (auto _ : state) benchmark::DoNotOptimize(call(input));
  report(state);
}

void backward(benchmark::State& state, UnaryOperator call, at::ScalarType dtype) {
  const at::Tensor input = input_of(state, dtype).requires_grad_();
  const at::Tensor output = call(input);
  const at::Tensor grad_output = at::ones_like(output);
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        torch::autograd::grad({output}, {input}, {grad_output}, /*retain_graph=*/true));
  }
  report(state);
}

template <class Function, class... Arguments>
void add(const std::string& name, Function function, Arguments... arguments) {
  auto* bench = benchmark::RegisterBenchmark(name.c_str(), function, arguments...);
  for (const int64_t count : kCounts) bench->Arg(count);
  bench->UseRealTime();
}

void add_all() {
  for (const at::ScalarType dtype : kDtypes) {
    const std::string suffix = std::string("/") + c10::toString(dtype);
    add("copy" + suffix, copy, dtype);
    for (const Operator& op : kOperators) {
      add(std::string(op.name) + "/forward" + suffix, forward, op.call, dtype);
      add(std::string(op.name) + "/backward" + suffix, backward, op.call, dtype);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
