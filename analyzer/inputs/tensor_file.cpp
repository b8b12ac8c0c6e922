#include "analyzer/inputs/tensor_file.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <regex>
#include <string_view>

#include "analyzer/error.h"

namespace invact {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

[[noreturn]] void reject(const std::string& path, const std::string& why) {
  throw_usage_error(fmt::format("--input: '{}' {}.", path, why));
}

struct Element {
  c10::ScalarType dtype = c10::kFloat;
  bool is_big_endian = false;
  size_t swapped_bytes = 0;  ///< Of a number: half of a complex element.
};

/// "<f4": byte order, kind, bytes.
std::optional<Element> parse_descr(const std::string& descr) {
  constexpr std::pair<std::string_view, c10::ScalarType> kKinds[] = {
      {"f8", c10::kDouble},       {"f4", c10::kFloat},
      {"f2", c10::kHalf},         {"i8", c10::kLong},
      {"i4", c10::kInt},          {"i2", c10::kShort},
      {"i1", c10::kChar},         {"u1", c10::kByte},
      {"b1", c10::kBool},         {"u2", c10::kUInt16},
      {"u4", c10::kUInt32},       {"u8", c10::kUInt64},
      {"c8", c10::kComplexFloat}, {"c16", c10::kComplexDouble},
  };
  if (descr.empty() || std::string_view("<>|=").find(descr[0]) == std::string_view::npos) {
    return std::nullopt;
  }
  for (const auto& [kind, dtype] : kKinds) {
    if (descr.substr(1) != kind) continue;
    const size_t bytes = c10::elementSize(dtype);
    return Element{dtype, descr[0] == '>', c10::isComplexType(dtype) ? bytes / 2 : bytes};
  }
  return std::nullopt;
}

struct Header {
  Element element;
  bool is_fortran = false;
  std::vector<int64_t> shape;
  size_t data_begin = 0;
};

std::vector<int64_t> parse_shape(const std::string& text, const std::string& path) {
  std::vector<int64_t> shape;
  static const std::regex number(R"(\d+)");
  for (std::sregex_iterator it(text.begin(), text.end(), number), end; it != end; ++it) {
    const std::string digits = it->str();
    int64_t size = 0;
    const auto [last, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
    if (error != std::errc()) reject(path, fmt::format("claims the impossible shape ({})", text));
    shape.push_back(size);
  }
  return shape;
}

Header parse_header(const std::vector<char>& bytes, const std::string& path) {
  constexpr size_t kVersionBytes = 2;
  const size_t length_begin = kMagic.size() + kVersionBytes;
  if (bytes.size() < length_begin) reject(path, "is truncated");
  const int major = static_cast<unsigned char>(bytes[kMagic.size()]);
  if (major < 1 || major > 3) {
    reject(path, fmt::format("is a .npy file of version {}; 1, 2 and 3 are known", major));
  }
  const size_t length_bytes = major == 1 ? 2 : 4;
  if (bytes.size() < length_begin + length_bytes) reject(path, "is truncated");
  size_t header_bytes = 0;  // little endian, as this machine
  std::memcpy(&header_bytes, bytes.data() + length_begin, length_bytes);
  const size_t header_begin = length_begin + length_bytes;
  if (header_bytes > bytes.size() - header_begin) reject(path, "is truncated");
  const std::string text(bytes.data() + header_begin, header_bytes);

  std::smatch descr, order, shape;
  static const std::regex descr_pattern(R"('descr':\s*'([^']+)')");
  static const std::regex order_pattern(R"('fortran_order':\s*(True|False))");
  static const std::regex shape_pattern(R"('shape':\s*\(([^)]*)\))");
  if (!std::regex_search(text, descr, descr_pattern) ||
      !std::regex_search(text, order, order_pattern) ||
      !std::regex_search(text, shape, shape_pattern)) {
    reject(path, "has a header that cannot be read (structured arrays are not supported)");
  }
  const auto element = parse_descr(descr[1]);
  if (!element) {
    reject(path, fmt::format("has the dtype '{}'; supported are bool, integers, floats and complex "
                             "numbers of 1 to 16 bytes that PyTorch has",
                             descr[1].str()));
  }
  return {*element, order[1] == "True", parse_shape(shape[1], path), header_begin + header_bytes};
}

/// Bytes of the array's data; checked before memory is asked for, since a header can claim
/// anything.
size_t data_bytes(const Header& header, size_t available_bytes, const std::string& path) {
  auto bytes = static_cast<uint64_t>(c10::elementSize(header.element.dtype));
  if (std::find(header.shape.begin(), header.shape.end(), 0) != header.shape.end()) return 0;
  for (const int64_t size : header.shape) {
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(size), &bytes) ||
        bytes > available_bytes) {
      reject(path, "is truncated: the header claims more elements than the file holds");
    }
  }
  if (bytes > available_bytes) reject(path, "is truncated: its data is missing");
  return bytes;
}

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

bool is_npy(const std::vector<char>& bytes) {
  return bytes.size() >= kMagic.size() &&
         std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) == 0;
}

at::Tensor read_npy(const std::vector<char>& bytes, const std::string& path) {
  Header header = parse_header(bytes, path);
  const size_t count = data_bytes(header, bytes.size() - header.data_begin, path);
  // Fortran order is C order of the transposed array.
  if (header.is_fortran) std::reverse(header.shape.begin(), header.shape.end());
  at::Tensor tensor = at::empty(header.shape, at::TensorOptions().dtype(header.element.dtype));
  auto* const data = static_cast<char*>(tensor.mutable_data_ptr());
  if (count > 0) std::memcpy(data, bytes.data() + header.data_begin, count);
  if (header.element.is_big_endian) {
    const size_t step = header.element.swapped_bytes;
    for (size_t i = 0; i < count; i += step) std::reverse(data + i, data + i + step);
  }
  if (!header.is_fortran) return tensor;
  std::vector<int64_t> axes(header.shape.size());
  for (size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<int64_t>(axes.size() - 1 - i);
  return tensor.permute(axes).contiguous();
}

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
