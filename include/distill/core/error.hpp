/// How errors leave the library.
#pragma once

#include <distill/core/config.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace distill {

/// Bad input. The message names the field, what was expected and what was found:
/// `distill: batch.teacher has 32 rows, batch.student has 64`. No output buffer has been touched.
class invalid_input : public std::invalid_argument {
public:
    using std::invalid_argument::invalid_argument;
};

/// Receives the message where exceptions are disabled. When it returns, the call answers a NaN loss and has written nothing.
using error_handler = void (*)(const char* message);

namespace detail {

inline void abort_with(const char* message) {
    std::fputs(message, stderr);
    std::fputc('\n', stderr);
    std::abort();
}

inline std::atomic<error_handler> current_error_handler{&abort_with};

}  // namespace detail

/// Sets the handler for builds without exceptions (default: print the message and abort) and returns the previous one.
inline error_handler set_error_handler(error_handler handler) noexcept {
    return detail::current_error_handler.exchange(handler ? handler : &detail::abort_with);
}

/// Throws invalid_input; without exceptions, calls the error handler.
inline void report_error(const std::string& message) {
#if DISTILL_HAS_EXCEPTIONS
    throw invalid_input("distill: " + message);
#else
    detail::current_error_handler.load()(("distill: " + message).c_str());
#endif
}

}  // namespace distill
