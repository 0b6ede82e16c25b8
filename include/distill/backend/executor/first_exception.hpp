/// An exception's way from an executor's thread to the caller.
#pragma once

#include <distill/core/config.hpp>

#include <atomic>
#include <cstddef>
#include <exception>
#include <limits>

namespace distill::inline DISTILL_ABI::detail {

/// Keeps the exception of the first body that throws, by the bodies' numbers, so that none leaves an executor's thread.
/// Bodies after one that has thrown do nothing; those before it all run, so the exception is that of a loop in order.
class first_exception {
public:
    /// Calls body(), from any thread.
    template <class Body>
    void guard(std::ptrdiff_t number, const Body& body) {
#if DISTILL_HAS_EXCEPTIONS
        if (number > number_.load(std::memory_order_relaxed)) return;
        try {
            body();
        } catch (...) {
            while (locked_.test_and_set(std::memory_order_acquire)) {
            }
            if (number < number_.load(std::memory_order_relaxed)) {
                number_.store(number, std::memory_order_relaxed);
                exception_ = std::current_exception();
            }
            locked_.clear(std::memory_order_release);
        }
#else
        static_cast<void>(number);
        body();
#endif
    }

    /// When all bodies are done.
    void rethrow() const {
#if DISTILL_HAS_EXCEPTIONS
        if (exception_ != nullptr) std::rethrow_exception(exception_);
#endif
    }

private:
#if DISTILL_HAS_EXCEPTIONS
    std::atomic<std::ptrdiff_t> number_{(std::numeric_limits<std::ptrdiff_t>::max)()};
    std::atomic_flag locked_{};  // std::mutex's inline functions would be compiled with the consumer's flags
    std::exception_ptr exception_{};
#endif
};

}  // namespace distill::inline DISTILL_ABI::detail
