// Finds the saved storages whose content can be had from other saved storages. Pure; one rule per
// DuplicateKind.
#pragma once

#include <vector>

#include "analyzer/report.h"

namespace invact {

/// Of a report whose calls, storages and saved tensors are filled. Bytes descending, then storage
/// id. No storage stands twice, and none is told from itself by way of others: all that are listed
/// can be had from those that are not. Storages that heavy operators keep are listed as casts and
/// copies only, since their readers need them.
std::vector<Duplicate> find_duplicates(const Report& report);

}  // namespace invact
