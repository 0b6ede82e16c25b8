/// Where a thread's row of scratch comes from.
#pragma once

#include <distill/core/abi.hpp>

#include <concepts>
#include <cstddef>
#include <new>

namespace distill::inline DISTILL_PROGRAM_ABI::whole_program {

/// Rows of scratch that the calling thread's calls are using: more than one where a term or a gate calls a loss.
inline constinit thread_local int rows_in_use = 0;

}  // namespace distill::inline DISTILL_PROGRAM_ABI::whole_program

namespace distill::inline DISTILL_ABI {

/// Called as scratch(bytes) const in the thread that is about to run rows; gives at least `bytes` bytes at a multiple of 8
/// (of 64: fewer cache lines touched), of nobody else's until that thread asks again. Null: the backend uses thread_scratch.
/// A thread asks for its outermost call alone: a call from within a call has a row of its own, allocated while it runs.
template <class S>
concept scratch_provider = std::copy_constructible<S> && requires(const S& scratch, std::size_t bytes) {
    { scratch(bytes) } -> std::convertible_to<void*>;
};

namespace detail {

/// Memory at a multiple of 64, longer where more is asked for; what it held is lost then.
class scratch_memory {
public:
    scratch_memory() = default;
    scratch_memory(const scratch_memory&) = delete;
    scratch_memory& operator=(const scratch_memory&) = delete;
    ~scratch_memory() { release(); }

    void* at_least(std::size_t bytes) {
        if (capacity_ < bytes) {
            release();
            memory_ = ::operator new(bytes, alignment);
            capacity_ = bytes;
        }
        return memory_;
    }

private:
    static constexpr std::align_val_t alignment{64};

    void release() noexcept {
        if (memory_ != nullptr) ::operator delete(memory_, alignment);
        memory_ = nullptr;
        capacity_ = 0;
    }

    void* memory_ = nullptr;
    std::size_t capacity_ = 0;
};

}  // namespace detail

/// Memory of the calling thread, kept from call to call, longer where a longer row comes, given back when the thread ends.
struct thread_scratch {
    void* operator()(std::size_t bytes) const {
        thread_local detail::scratch_memory memory;
        return memory.at_least(bytes);
    }
};

/// A row of scratch, in use by the calling thread for as long as this lives.
class scratch_row {
public:
    template <scratch_provider Scratch>
    scratch_row(const Scratch& scratch, std::size_t bytes) {
        if (whole_program::rows_in_use > 1) {
            row_ = own_.at_least(bytes);
        } else {
            row_ = scratch(bytes);
            if (row_ == nullptr) row_ = thread_scratch{}(bytes);
        }
    }
    [[nodiscard]] void* data() const noexcept { return row_; }

private:
    /// A member: counted down where the provider throws, too.
    struct use {
        use() noexcept { ++whole_program::rows_in_use; }
        use(const use&) = delete;
        use& operator=(const use&) = delete;
        ~use() { --whole_program::rows_in_use; }
    };

    use use_{};
    detail::scratch_memory own_{};
    void* row_ = nullptr;
};

}  // namespace distill::inline DISTILL_ABI
