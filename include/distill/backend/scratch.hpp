/// Where a thread's row of scratch comes from.
#pragma once

#include <distill/core/abi.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <new>

namespace distill::inline DISTILL_ABI {

/// Called as scratch(bytes) const in the thread that is about to run rows; gives at least `bytes` bytes at a multiple of 8
/// (of 64: fewer cache lines touched), of nobody else's until that thread asks again. Null: the backend uses thread_scratch.
template <class S>
concept scratch_provider = std::copy_constructible<S> && requires(const S& scratch, std::size_t bytes) {
    { scratch(bytes) } -> std::convertible_to<void*>;
};

/// Memory of the calling thread, kept from call to call, longer where a longer row comes, given back when the thread ends.
struct thread_scratch {
    void* operator()(std::size_t bytes) const {
        thread_local std::unique_ptr<void, aligned_delete> memory;
        thread_local std::size_t capacity = 0;
        if (capacity < bytes) {
            memory.reset();
            capacity = 0;
            memory.reset(::operator new(bytes, alignment));
            capacity = bytes;
        }
        return memory.get();
    }

private:
    static constexpr std::align_val_t alignment{64};
    struct aligned_delete {
        void operator()(void* memory) const noexcept { ::operator delete(memory, alignment); }
    };
};

}  // namespace distill::inline DISTILL_ABI
