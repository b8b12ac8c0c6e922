// InputSpec: one `--input` of the command line as plain data. This file only parses: which value it
// means depends on the type of forward's argument (inputs.cpp), and input_maker.cpp makes the
// values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace invact {

/// [NAME[.ELEMENT...]=]VALUE.
struct InputSpec {
  std::string text;  ///< As the user wrote it.
  std::string name;  ///< Of forward's argument; empty: taken by position.
  std::vector<std::string>
      elements;  ///< Into tuples, lists ("0") and dicts ("key"), outermost first.
  std::string value;
  bool operator==(const InputSpec&) const = default;
};

enum class InputFill {
  kNormal,           ///< `randn`: standard normal; the default of floating dtypes.
  kZeros,            ///< `zeros`
  kOnes,             ///< `ones`
  kLowerTriangular,  ///< `tril`: ones up to the diagonal of the last two dimensions, a causal mask.
  kUniform,          ///< `LO..HI`: uniform in [LO, HI), whole numbers for integer dtypes.
  kFile,             ///< `@file`: read from a .pt or .npy file.
};

/// SHAPE[:DTYPE[:FILL]] or @FILE.
struct TensorSpec {
  std::vector<int64_t> shape;
  std::string dtype = "float32";  ///< Full name: "float32", "int64".
  InputFill fill = InputFill::kNormal;
  double low = 0;
  double high = 1;
  std::string file;
  bool operator==(const TensorSpec&) const = default;
};

/// The grammar of `--input`, of --help.
extern const char* const kInputHelp;
/// The part of it that describes a tensor; `kTensorGrammar` follows a NAME and '='.
extern const char* const kTensorGrammar;

/// Splits one `--input` argument. @throws Error(kUsage) where a name is empty.
InputSpec parse_input_spec(const std::string& text);

/// The value as that of a tensor. @throws Error(kUsage) that names the faulty part and shows the
/// accepted forms.
TensorSpec parse_tensor_spec(const InputSpec& spec);

/// "x" or "x.0.key": what the spec is for; `text` where it goes by position.
std::string input_name(const InputSpec& spec);

/// One sentence that says what is wrong with `spec`, and one with what is accepted instead.
[[noreturn]] void reject_input(const InputSpec& spec, const std::string& why,
                               const std::string& accepted);

/// Full dtype name of a short or full one ("i64", "int64"); none if unknown.
std::optional<std::string> full_dtype_name(const std::string& name);

/// "randn", "zeros", "ones", "tril", "0..2" or "file": the fill as the command line writes it.
std::string fill_text(const TensorSpec& spec);

}  // namespace invact
