#include "kernels/activation/activation_function.h"

#include <stdexcept>
#include <string>
#include <utility>

namespace invact::kernels {
namespace {

template <class F>
constexpr int parameter_count() {
  if constexpr (requires { F::kParameterCount; }) {
    return F::kParameterCount;
  } else {
    return 0;
  }
}

template <class F, size_t... kIndex>
F from_parameters([[maybe_unused]] std::span<const double> parameters,
                  std::index_sequence<kIndex...>) {
  return F{parameters[kIndex]...};
}

template <class F>
bool try_make(std::string_view name, std::span<const double> parameters,
              ActivationFunction& function) {
  if (name != F::kName) return false;
  constexpr int kCount = parameter_count<F>();
  if (parameters.size() != kCount) {
    throw std::invalid_argument("invact: function '" + std::string(name) + "' has " +
                                std::to_string(kCount) + " parameters, not " +
                                std::to_string(parameters.size()));
  }
  function = from_parameters<F>(parameters, std::make_index_sequence<kCount>());
  return true;
}

}  // namespace

ActivationFunction make_function(std::string_view name, std::span<const double> parameters) {
  ActivationFunction function;
#define INVACT_TRY(F) \
  if (try_make<F>(name, parameters, function)) return function;
  INVACT_FOR_EACH_FUNCTION(INVACT_TRY)
#undef INVACT_TRY
  throw std::invalid_argument("invact: no function '" + std::string(name) + "'");
}

std::string_view function_name(const ActivationFunction& function) {
  return std::visit([]<class F>(const F&) -> std::string_view { return F::kName; }, function);
}

std::vector<double> function_parameters(const ActivationFunction& function) {
  return std::visit(
      []<class F>(const F& f) -> std::vector<double> {
        if constexpr (parameter_count<F>() > 0) {
          const auto parameters = f.parameters();
          return {parameters.begin(), parameters.end()};
        } else {
          return {};
        }
      },
      function);
}

int branch_bits(const ActivationFunction& function) {
  return std::visit([]<class F>(const F&) { return F::kBranchBits; }, function);
}

bool is_invertible(const ActivationFunction& function) {
  return std::visit(
      []<class F>(const F& f) {
        if constexpr (parameter_count<F>() > 0) {
          return f.is_invertible();
        } else {
          return true;
        }
      },
      function);
}

}  // namespace invact::kernels
