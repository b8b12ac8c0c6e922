#include "analyzer/model/model.h"

#include <caffe2/serialize/inline_container.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/evp.h>
#include <torch/csrc/jit/frontend/error_report.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/csrc/jit/serialization/import_read.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <regex>
#include <unordered_set>

#include "analyzer/error.h"

namespace invact {

namespace {

using caffe2::serialize::PyTorchStreamReader;

void check_readable_file(const std::string& path) {
  std::error_code code;
  const auto status = std::filesystem::status(path, code);
  if (!std::filesystem::exists(status)) throw_model_error(fmt::format("No such file: '{}'.", path));
  if (std::filesystem::is_directory(status)) {
    throw_model_error(fmt::format("'{}' is a folder, not a TorchScript file.", path));
  }
  if (!std::ifstream(path, std::ios::binary)) {
    throw_model_error(fmt::format("Cannot read '{}': check its permissions.", path));
  }
}

std::unique_ptr<PyTorchStreamReader> open_archive(const std::string& path) {
  try {
    return std::make_unique<PyTorchStreamReader>(path);
  } catch (const c10::Error&) {
    std::string magic(4, '\0');
    std::ifstream(path, std::ios::binary).read(magic.data(), 4);
    if (magic.starts_with("PK")) {
      throw_model_error(fmt::format(
          "'{}' is a damaged or truncated archive: copy or save the model again.", path));
    }
    throw_model_error(
        fmt::format("'{}' is no TorchScript archive: save the model with torch.jit.save.", path));
  }
}

void check_torchscript(PyTorchStreamReader& archive, const std::string& path) {
  if (archive.hasRecord("constants.pkl")) return;
  if (archive.hasRecord("data.pkl")) {
    throw_model_error(fmt::format(
        "'{}' holds a Python object that torch.save wrote (weights, perhaps), not a TorchScript "
        "model: save torch.jit.trace(...) or torch.jit.script(...) with torch.jit.save.",
        path));
  }
  throw_model_error(
      fmt::format("'{}' is an archive without TorchScript code: save the model with "
                  "torch.jit.save (a torch.export .pt2 file cannot be trained from C++).",
                  path));
}

/// What torch.jit.trace noted of its example inputs; see ScriptModuleSerializer::serialize.
std::optional<std::vector<c10::IValue>> read_traced_inputs(PyTorchStreamReader& archive) {
  if (!archive.hasRecord("traced_inputs.pkl")) return std::nullopt;
  const c10::IValue record =
      torch::jit::readArchiveAndTensors("traced_inputs", "", "traced_inputs/", std::nullopt,
                                        std::nullopt, c10::Device(c10::kCPU), archive);
  if (!record.isGenericDict()) return std::nullopt;
  for (const auto& entry : record.toGenericDict()) {
    if (entry.key().isString() && entry.key().toStringRef() == "forward") {
      return entry.value().toListRef().vec();
    }
  }
  return std::nullopt;
}

std::unordered_map<std::string, std::string> read_extra_files(PyTorchStreamReader& archive) {
  constexpr std::string_view kFolder = "extra/";
  std::unordered_map<std::string, std::string> files;
  for (const std::string& record : archive.getAllRecords()) {
    if (!record.starts_with(kFolder)) continue;
    const auto [data, bytes] = archive.getRecord(record);
    files[record.substr(kFolder.size())] = {static_cast<const char*>(data.get()), bytes};
  }
  return files;
}

[[noreturn]] void explain_load_failure(const std::string& path, const std::string& message) {
  std::smatch match;
  static const std::regex unknown_operator(R"(Unknown builtin op: ([\w:]+))");
  if (std::regex_search(message, match, unknown_operator)) {
    std::string op = match[1];
    while (op.ends_with('.') || op.ends_with(':')) op.pop_back();
    throw_model_error(fmt::format(
        "'{}' uses the operator {}, which no loaded library provides: name its library with "
        "--ops-library.",
        path, op));
  }
  throw_model_error(fmt::format("LibTorch cannot load '{}': {}.", path, first_sentence(message)));
}

torch::jit::Module load_module(const std::string& path, c10::Device device) {
  try {
    return torch::jit::load(path, device);
  } catch (const torch::jit::ErrorReport& error) {
    explain_load_failure(path, error.what());
  } catch (const c10::Error& error) {
    explain_load_failure(path, error.what_without_backtrace());
  }
}

template <typename NamedTensors>
int64_t distinct_bytes(const NamedTensors& tensors, bool trainable_only = false) {
  std::unordered_set<const c10::StorageImpl*> seen;
  int64_t bytes = 0;
  for (const at::Tensor& tensor : tensors) {
    if (!tensor.has_storage() || (trainable_only && !tensor.requires_grad())) continue;
    if (seen.insert(tensor.storage().unsafeGetStorageImpl()).second) {
      bytes += static_cast<int64_t>(tensor.storage().nbytes());
    }
  }
  return bytes;
}

void describe_module(Model& model) {
  model.record.parameter_bytes = distinct_bytes(model.module.parameters());
  model.record.trainable_parameter_bytes =
      distinct_bytes(model.module.parameters(), /*trainable_only=*/true);
  model.record.buffer_bytes = distinct_bytes(model.module.buffers());
  for (const at::Tensor& parameter : model.module.parameters()) {
    model.record.requires_grad |= parameter.requires_grad();
  }
}

void collect_modules(const torch::jit::Module& module, const std::string& path,
                     std::vector<ModuleRecord>& records) {
  records.push_back({path, class_name(module)});
  for (const auto& child : module.named_children()) {
    collect_modules(child.value, path.empty() ? child.name : path + "." + child.name, records);
  }
}

}  // namespace

Model load_model(const std::string& path, c10::Device device) {
  check_readable_file(path);
  Model model;
  {
    const auto archive = open_archive(path);
    check_torchscript(*archive, path);
    try {
      model.traced_inputs = read_traced_inputs(*archive);
      model.extra_files = read_extra_files(*archive);
    } catch (const c10::Error& error) {
      throw_model_error(fmt::format("'{}' is a damaged or truncated archive: {}.", path,
                                    first_sentence(error.what_without_backtrace())));
    }
  }
  model.module = load_module(path, device);
  model.record.path = path;
  model.record.sha256 = sha256_of_file(path);
  describe_module(model);
  return model;
}

Model wrap_module(torch::jit::Module module) {
  Model model;
  model.module = std::move(module);
  describe_module(model);
  return model;
}

std::string sha256_of_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw_model_error(fmt::format("Cannot read '{}'.", path));
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        &EVP_MD_CTX_free);
  bool ok = context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
  std::vector<char> block(1 << 20);
  while (ok && file) {
    file.read(block.data(), static_cast<std::streamsize>(block.size()));
    ok = EVP_DigestUpdate(context.get(), block.data(), static_cast<size_t>(file.gcount())) == 1;
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int digest_bytes = 0;
  ok = ok && EVP_DigestFinal_ex(context.get(), digest.data(), &digest_bytes) == 1;
  if (!ok) throw_internal_error("OpenSSL could not compute a SHA-256 digest.");
  if (file.bad()) throw_model_error(fmt::format("Cannot read '{}' to its end.", path));
  return fmt::format("{:02x}", fmt::join(digest.begin(), digest.begin() + digest_bytes, ""));
}

void refuse_frozen(const Model& model) {
  if (model.module.hasattr("training") || model.module.parameters().size() > 0) return;
  throw_model_error(fmt::format(
      "'{}' was frozen (torch.jit.freeze): its weights are constants and cannot be trained. Give "
      "the model that it was frozen from.",
      model.record.path));
}

std::string class_name(const torch::jit::Module& module) {
  const auto name = module.type()->name();
  return name ? name->qualifiedName() : "";
}

std::vector<ModuleRecord> module_records(const torch::jit::Module& top) {
  std::vector<ModuleRecord> records;
  collect_modules(top, "", records);
  return records;
}

std::string dtype_name(c10::ScalarType dtype) {
  switch (dtype) {
    case c10::kDouble:
      return "float64";
    case c10::kFloat:
      return "float32";
    case c10::kHalf:
      return "float16";
    case c10::kLong:
      return "int64";
    case c10::kInt:
      return "int32";
    case c10::kShort:
      return "int16";
    case c10::kChar:
      return "int8";
    case c10::kByte:
      return "uint8";
    default: {
      std::string name = c10::toString(dtype);
      for (char& letter : name) letter = static_cast<char>(std::tolower(letter));
      return name;
    }
  }
}

TensorFacts tensor_facts(const at::Tensor& tensor) {
  TensorFacts facts;
  facts.dtype = dtype_name(tensor.scalar_type());
  facts.shape = tensor.sizes().vec();
  facts.element_count = tensor.numel();
  facts.bytes = tensor.numel() * static_cast<int64_t>(tensor.element_size());
  return facts;
}

}  // namespace invact
