// What TorchScript's types accept as an input: which values fit one, and how the user writes them.
// Knows no model; values are made in input_maker.cpp.
#pragma once

#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>

#include <optional>
#include <string>

#include "analyzer/inputs/input_spec.h"

namespace invact {

/// The type that an Optional is made of; any other type itself.
c10::TypePtr without_optional(const c10::TypePtr& type);

/// A number, a bool or a string.
bool is_plain(const c10::Type& type);

bool takes_tensor(const c10::Type& type);

/// `value` as a value of the plain `type`; none where it is of another type. A tensor of one
/// element serves for a number, as PyTorch itself lets it.
std::optional<c10::IValue> plain_from(const c10::Type& type, const c10::IValue& value);

/// `text` read as a value of the plain `type`; none where it is not written as one.
std::optional<c10::IValue> parse_plain(const c10::Type& type, const std::string& text);

/// A whole number from 0 on, as it stands for an element of a list or tuple; none where `text` is
/// not.
std::optional<size_t> parse_index(const std::string& text);

/// A dict's key as NAME.KEY writes it.
std::string key_text(const c10::IValue& key);

/// "x=8x128, ...": how a value of `type` is given, for messages.
std::string accepted_input(const c10::Type& type, const std::string& name);

}  // namespace invact
