// Sentences for what CUPTI answers. Only this folder and its test include this header.
#pragma once

#include <cupti.h>

#include <string>

namespace invact {

/// What failed, why as far as CUPTI tells, and what to do. `action`: "claim the GPU's activity
/// records"; `holder`: the tool that has CUPTI, as CUPTI names it, or empty.
std::string explain_cupti_failure(CUptiResult result, const std::string& action,
                                  const std::string& holder = {});

/// @throws Error(kEnvironment) unless `result` is success.
void check_cupti(CUptiResult result, const char* action);

}  // namespace invact
