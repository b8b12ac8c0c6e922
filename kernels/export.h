// Marks what the operator library shows to programs that link it; everything else is hidden.
#pragma once

#define INVACT_EXPORT __attribute__((visibility("default")))
