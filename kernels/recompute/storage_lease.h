// A storage whose memory was given back, and the memory that it gets for a while. Nothing here
// knows whose it is (autograd/region.h does). Internal.
#pragma once

#include <c10/core/Storage.h>

#include <string>

namespace invact::kernels {

/// Frees the storage's memory: it counts zero bytes, and whoever reads its data gets a c10::Error
/// of that message instead of a null pointer.
void vacate(c10::StorageImpl& storage, const std::string& message);

/// The data of `owner` for a vacated storage, without a copy; `owner` lives as long as it is lent.
void lend(c10::StorageImpl& storage, const c10::Storage& owner);

}  // namespace invact::kernels
