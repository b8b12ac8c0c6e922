#include "kernels/recompute/storage_lease.h"

#include <memory>

namespace invact::kernels {
namespace {

// LibTorch 2.11 has no public way to have a storage's data read again once reading it raises; later
// releases have. An explicit instantiation may name a private member.
bool c10::StorageImpl::*raises_member();

template <bool c10::StorageImpl::*kMember>
struct RaisesMember {
  friend bool c10::StorageImpl::*raises_member() { return kMember; }
};
template struct RaisesMember<&c10::StorageImpl::throw_on_immutable_data_ptr_>;

template <class Impl>
void allow_reading(Impl& storage) {
  if constexpr (requires { storage.clear_data_ptr_access_error_msg_(); }) {
    storage.clear_data_ptr_access_error_msg_();
  } else {
    storage.*raises_member() = false;
  }
}

void drop_owner(void* context) {
  const std::unique_ptr<c10::Storage> owner(static_cast<c10::Storage*>(context));
}

}  // namespace

void vacate(c10::StorageImpl& storage, const std::string& message) {
  storage.set_data_ptr_noswap(c10::DataPtr(nullptr, storage.device()));
  storage.set_nbytes(size_t{0});
  storage.release_data_and_set_meta_custom_data_ptr_error_msg_(message);
}

void lend(c10::StorageImpl& storage, const c10::Storage& owner) {
  allow_reading(storage);
  auto context = std::make_unique<c10::Storage>(owner);
  void* const data = owner.data_ptr().get();
  storage.set_data_ptr_noswap(c10::DataPtr(data, context.release(), &drop_owner, owner.device()));
  storage.set_nbytes(owner.nbytes());
}

}  // namespace invact::kernels
