#include "analyzer/tensor_file.h"

#include <ATen/ops/empty.h>
#include <c10/util/accumulate.h>
#include <fmt/format.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <regex>
#include <vector>

#include "analyzer/error.h"

namespace invact {
namespace {

std::vector<char> read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw_usage_error(fmt::format("--input: cannot read '{}'.", path));
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::optional<c10::ScalarType> numpy_dtype(const std::string& code) {
  if (code == "<f8") return c10::kDouble;
  if (code == "<f4") return c10::kFloat;
  if (code == "<f2") return c10::kHalf;
  if (code == "<i8") return c10::kLong;
  if (code == "<i4") return c10::kInt;
  if (code == "<i2") return c10::kShort;
  if (code == "|i1") return c10::kChar;
  if (code == "|u1") return c10::kByte;
  if (code == "|b1") return c10::kBool;
  return std::nullopt;
}

[[noreturn]] void reject_npy(const std::string& path, const std::string& why) {
  throw_usage_error(fmt::format("--input: '{}' {}.", path, why));
}

std::vector<int64_t> parse_npy_shape(const std::string& text) {
  std::vector<int64_t> shape;
  static const std::regex number(R"(\d+)");
  for (std::sregex_iterator it(text.begin(), text.end(), number), end; it != end; ++it) {
    shape.push_back(std::stoll(it->str()));
  }
  return shape;
}

/// Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
at::Tensor read_npy(const std::string& path) {
  const std::vector<char> bytes = read_bytes(path);
  constexpr size_t kMagicBytes = 6;
  if (bytes.size() < 12 || std::memcmp(bytes.data(), "\x93NUMPY", kMagicBytes) != 0) {
    reject_npy(path, "is no .npy file");
  }
  const bool long_header = bytes[kMagicBytes] >= 2;
  const size_t header_begin = long_header ? 12 : 10;
  size_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data() + 8, long_header ? 4 : 2);
  if (header_begin + header_bytes > bytes.size()) reject_npy(path, "is truncated");
  const std::string header(bytes.data() + header_begin, header_bytes);

  std::smatch descr, order, shape_text;
  static const std::regex descr_pattern(R"('descr':\s*'([^']+)')");
  static const std::regex order_pattern(R"('fortran_order':\s*(True|False))");
  static const std::regex shape_pattern(R"('shape':\s*\(([^)]*)\))");
  if (!std::regex_search(header, descr, descr_pattern) ||
      !std::regex_search(header, order, order_pattern) ||
      !std::regex_search(header, shape_text, shape_pattern)) {
    reject_npy(path, "has a header that cannot be read (structured arrays are not supported)");
  }
  const auto dtype = numpy_dtype(descr[1]);
  if (!dtype) reject_npy(path, fmt::format("has the unsupported dtype '{}'", descr[1].str()));
  if (order[1] == "True") reject_npy(path, "is in Fortran order: save np.ascontiguousarray(...)");

  auto tensor = at::empty(parse_npy_shape(shape_text[1]), at::TensorOptions().dtype(*dtype));
  if (bytes.size() - header_begin - header_bytes < tensor.nbytes()) {
    reject_npy(path, "is truncated");
  }
  if (tensor.nbytes() > 0) {
    std::memcpy(tensor.mutable_data_ptr(), bytes.data() + header_begin + header_bytes,
                tensor.nbytes());
  }
  return tensor;
}

at::Tensor read_pt(const std::string& path) {
  c10::IValue value;
  try {
    value = torch::jit::pickle_load(read_bytes(path));
  } catch (const c10::Error& error) {
    throw_usage_error(
        fmt::format("--input: '{}' cannot be read as a tensor that torch.save wrote: {}.", path,
                    first_sentence(error.what_without_backtrace())));
  }
  if (!value.isTensor()) {
    throw_usage_error(
        fmt::format("--input: '{}' holds a {}, not one tensor.", path, value.tagKind()));
  }
  return value.toTensor().cpu().detach();
}

}  // namespace

at::Tensor read_tensor_file(const std::string& path) {
  return path.ends_with(".npy") ? read_npy(path) : read_pt(path);
}

}  // namespace invact
