#include "analyzer/inputs/tensor_file.h"

#include <fmt/format.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "analyzer/error.h"
#include "analyzer/inputs/npy_file.h"

namespace invact {
namespace {

std::vector<char> read_bytes(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    throw_usage_error(fmt::format("--input: '{}' is a folder; give a .pt or .npy file.", path));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw_usage_error(
        fmt::format("--input: cannot read '{}': check the path and its permissions.", path));
  }
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// The same value with its tensors on the CPU and detached.
c10::IValue detached(const c10::IValue& value) {
  if (value.isTensor()) {
    const at::Tensor& tensor = value.toTensor();
    return tensor.defined() ? tensor.detach().cpu() : tensor;
  }
  if (value.isTuple()) {
    std::vector<c10::IValue> elements;
    for (const auto& element : value.toTupleRef().elements()) elements.push_back(detached(element));
    return c10::ivalue::Tuple::create(std::move(elements));
  }
  if (value.isList()) {
    const auto source = value.toList();
    c10::impl::GenericList made(source.elementType());
    for (const c10::IValue& element : value.toListRef()) made.push_back(detached(element));
    return made;
  }
  if (value.isGenericDict()) {
    const auto source = value.toGenericDict();
    c10::impl::GenericDict made(source.keyType(), source.valueType());
    for (const auto& entry : source) made.insert(entry.key(), detached(entry.value()));
    return made;
  }
  return value;
}

}  // namespace

c10::IValue read_value_file(const std::string& path) {
  const std::vector<char> bytes = read_bytes(path);
  if (is_npy(bytes)) return read_npy(bytes, path);
  if (path.ends_with(".npy")) {
    throw_usage_error(fmt::format(
        "--input: '{}' is no .npy file: it does not begin as numpy.save writes.", path));
  }
  std::string message;
  try {
    return detached(torch::jit::pickle_load(bytes));
  } catch (const c10::Error& error) {
    message = error.what_without_backtrace();
  } catch (const std::exception& error) {  // the unpickler's own, on damaged bytes
    message = error.what();
  }
  throw_usage_error(
      fmt::format("--input: '{}' cannot be read as a tensor, or a tuple, list or dict of tensors, "
                  "that torch.save wrote, nor as an array of numpy.save: {}.",
                  path, first_sentence(message)));
}

}  // namespace invact
