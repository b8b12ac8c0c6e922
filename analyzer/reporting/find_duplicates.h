// Finds the saved storages whose content can be computed from other saved storages. Pure; one rule
// per DuplicateKind.
#pragma once

#include <vector>

#include "analyzer/report.h"

namespace invact {

/// The duplicates of a report whose calls, storages and saved tensors are filled: bytes descending,
/// then storage id. No storage is listed twice, and none depends on itself by way of others: all
/// that are listed can be computed from those that are not. A storage that a heavy operator saves
/// is listed only as a cast or a copy, since that operator reads it.
std::vector<Duplicate> find_duplicates(const Report& report);

}  // namespace invact
