/// One row of scratch per thread.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace distill::simd {

namespace detail {

struct cache_line_delete {
    void operator()(void* memory) const noexcept { ::operator delete (memory, std::align_val_t{64}); }
};

}  // namespace detail

/// At least `count` reals at a multiple of 64 bytes, of the calling thread's own until it asks again. Kept from call to call
/// and given back when the thread ends.
template <class Real>
Real* scratch_row(std::ptrdiff_t count) {
    thread_local std::unique_ptr<Real, detail::cache_line_delete> row;
    thread_local std::ptrdiff_t capacity = 0;
    if (capacity < count) {
        row.reset();
        capacity = 0;
        row.reset(static_cast<Real*>(::operator new (static_cast<std::size_t>(count) * sizeof(Real), std::align_val_t{64})));
        capacity = count;
    }
    return row.get();
}

}  // namespace distill::simd
