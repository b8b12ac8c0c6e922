// Finds out what a report is made with. Its .cpp alone is compiled with invact's version and build
// options, which is why it has a file of its own.
#pragma once

#include "analyzer/report.h"

namespace invact {

/// The Environment of this process.
Environment current_environment();

}  // namespace invact
