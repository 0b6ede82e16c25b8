/// How errors leave the library.
#pragma once

#include <distill/core/config.hpp>

#include <atomic>
#include <charconv>
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

    /// A number has the digits that tell it from every other one, in any locale. The standard library's compiled functions
    /// print it: its inline ones would be compiled with the flags of each translation unit, under one name.
    void append_to(std::string& whole) const {
        char digits[32];
        if (length_ == is_real) {
            const auto printed = std::to_chars(digits, digits + sizeof digits, value_.real, std::chars_format::general);
            whole.append(digits, static_cast<std::size_t>(printed.ptr - digits));
        } else if (length_ == is_integer || length_ == is_natural) {
            const int length = length_ == is_integer ? std::snprintf(digits, sizeof digits, "%lld", value_.integer)
                                                     : std::snprintf(digits, sizeof digits, "%llu", value_.natural);
            whole.append(digits, static_cast<std::size_t>(length));
        } else {
            whole.append(value_.text, length_);
        }
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
    for (const sentence_part& part : parts) part.append_to(whole);
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
    const std::string message = sentence({"distill: ", sentence(parts)});
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
