// A plan that `invact rewrite --write-plan` or `--json` wrote, and that somebody may have edited.
#pragma once

#include <map>
#include <string>

namespace invact {

/// For each site of the plan, by its id, whether it is accepted. `model_sha256`: of the model that
/// it must have been made for.
/// @throws Error(kUsage) where the file is missing, no such plan, or made for another model.
std::map<std::string, bool> read_plan_file(const std::string& path,
                                           const std::string& model_sha256);

}  // namespace invact
