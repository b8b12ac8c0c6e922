// InputSpec: one `--input` of the command line as plain data. Parsing only; tensors are made in
// inputs.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace invact {

enum class InputFill {
  kNormal,   ///< `randn`: standard normal; the default of floating dtypes.
  kZeros,    ///< `zeros`
  kOnes,     ///< `ones`
  kUniform,  ///< `LO..HI`: uniform in [LO, HI), whole numbers for integer dtypes.
  kFile,     ///< `@file`: read from a .pt or .npy file.
};

/// NAME=SHAPE[:DTYPE[:FILL]] or NAME=@FILE.
struct InputSpec {
  std::string name;  ///< Empty: taken by position.
  std::vector<int64_t> shape;
  std::string dtype = "float32";  ///< Full name: "float32", "int64".
  InputFill fill = InputFill::kNormal;
  double low = 0;
  double high = 1;
  std::string file;
  bool operator==(const InputSpec&) const = default;
};

/// The grammar of `--input`, for help and error messages.
extern const char* const kInputGrammar;

/// Parses one `--input` argument. @throws Error(kUsage) that names the faulty part and shows the
/// accepted forms.
InputSpec parse_input_spec(const std::string& text);

/// Full dtype name of a short or full one ("i64", "int64"); none if unknown.
std::optional<std::string> full_dtype_name(const std::string& name);

/// "randn", "zeros", "ones", "0..2" or "file": the spec's fill as the command line writes it.
std::string fill_text(const InputSpec& spec);

}  // namespace invact
