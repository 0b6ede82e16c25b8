/// How errors leave the library.
#pragma once

#include <distill/core/config.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>

namespace distill::inline DISTILL_PROGRAM_ABI {

/// Bad input. The message names the field, what was expected and what was found:
/// `distill: batch.teacher has 32 rows, batch.student has 64`. No output buffer has been touched.
class invalid_input : public std::invalid_argument {
public:
    using std::invalid_argument::invalid_argument;
};

/// Receives the message where exceptions are disabled. When it returns, the call returns a NaN loss and has written nothing.
using error_handler = void (*)(const char* message);

namespace whole_program {

inline void abort_with(const char* message) {
    std::fputs(message, stderr);
    std::fputc('\n', stderr);
    std::abort();
}

inline std::atomic<error_handler> current_error_handler{&abort_with};

}  // namespace whole_program
}  // namespace distill::inline DISTILL_PROGRAM_ABI

namespace distill::inline DISTILL_ABI {

namespace detail {

/// A piece of an error's sentence: text or a number. Two words, so that the sentence costs little where it is not made.
class sentence_part {
public:
    constexpr sentence_part(std::string_view text) : value_{.text = text.data()}, length_(text.size()) {}
    constexpr sentence_part(const char* text) : sentence_part(std::string_view(text)) {}
    sentence_part(const std::string& text) : sentence_part(std::string_view(text)) {}
    constexpr sentence_part(double number) : value_{.real = number}, length_(is_real) {}
    template <std::signed_integral Integer>
    constexpr sentence_part(Integer number) : value_{.integer = number}, length_(is_integer) {}
    template <std::unsigned_integral Integer>
    constexpr sentence_part(Integer number) : value_{.natural = number}, length_(is_natural) {}

    [[nodiscard]] std::string string() const {
        if (length_ == is_real) return std::to_string(value_.real);
        if (length_ == is_integer) return std::to_string(value_.integer);
        if (length_ == is_natural) return std::to_string(value_.natural);
        return std::string(value_.text, length_);
    }

private:
    /// In place of the length of a text.
    static constexpr std::size_t is_real = -std::size_t{1}, is_integer = is_real - 1, is_natural = is_real - 2;
    union {
        const char* text;
        double real;
        long long integer;
        unsigned long long natural;
    } value_;
    std::size_t length_;
};

using sentence_parts = std::initializer_list<sentence_part>;

/// One function for every sentence: where an error is found stands a call, and nothing that slows down compilation.
[[gnu::cold, gnu::noinline]] inline std::string sentence(sentence_parts parts) {
    std::string whole;
    for (const sentence_part& part : parts) whole += part.string();
    return whole;
}

}  // namespace detail

/// Sets the handler for builds without exceptions (default: print the message and abort) and returns the previous one.
inline error_handler set_error_handler(error_handler handler) noexcept {
    return whole_program::current_error_handler.exchange(handler ? handler : &whole_program::abort_with);
}

namespace detail {

/// Throws an Exception of `distill: ` and the sentence; without exceptions, calls the error handler.
template <class Exception>
[[gnu::cold, gnu::noinline]] void leave_with(sentence_parts parts) {
    const std::string message = "distill: " + sentence(parts);
#if DISTILL_HAS_EXCEPTIONS
    throw Exception(message);
#else
    whole_program::current_error_handler.load()(message.c_str());
#endif
}

}  // namespace detail

/// Throws invalid_input; without exceptions, calls the error handler.
inline void report_error(detail::sentence_parts parts) { detail::leave_with<invalid_input>(parts); }
inline void report_error(std::string_view message) { detail::leave_with<invalid_input>({message}); }

}  // namespace distill::inline DISTILL_ABI
