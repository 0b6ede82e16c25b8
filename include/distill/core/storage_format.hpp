/// How 16 bits of memory are read as a number.
#pragma once

#include <distill/core/abi.hpp>

#include <bit>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>

namespace distill::inline DISTILL_ABI {

/// The formats of 16-bit logits: IEEE half with 5 bits of exponent, or the upper half of a float.
enum class storage_format { unknown, half, bfloat16 };

namespace detail {

/// Element converts from and to float in constant expressions.
template <class Element>
concept converts_in_constants =
    requires { typename std::bool_constant<(std::bit_cast<std::uint16_t>(static_cast<Element>(1.0f)), true)>; };

/// Every number of these has its bits in a format of its own.
template <class Element>
constexpr bool converts_to_bits(std::uint16_t one, std::uint16_t minus_three_halves, std::uint16_t least) {
    const auto bits_of = [](float x) { return std::bit_cast<std::uint16_t>(static_cast<Element>(x)); };
    return bits_of(1.0f) == one && bits_of(-1.5f) == minus_three_halves && bits_of(0x1p-14f) == least;
}

/// The types of CUDA say nothing in a constant expression, and their headers are not for everyone to include.
template <class Element>
constexpr storage_format format_by_name() {
    std::string_view name = __PRETTY_FUNCTION__;  // ends with [Element = __half], or with [with Element=__half]
    name.remove_prefix(name.rfind("Element"));
    name.remove_prefix(name.find('=') + 1);
    if (name.starts_with(' ')) name.remove_prefix(1);
    return name == "__half]"          ? storage_format::half
           : name == "__nv_bfloat16]" ? storage_format::bfloat16
                                      : storage_format::unknown;
}

template <class Element>
constexpr storage_format find_storage_format() {
    using limits = std::numeric_limits<Element>;
    if constexpr (sizeof(Element) != 2 || !std::is_trivially_copyable_v<Element> || limits::is_integer)
        return storage_format::unknown;
    else if constexpr (limits::is_specialized)
        return limits::digits == 11  ? storage_format::half
               : limits::digits == 8 ? storage_format::bfloat16
                                     : storage_format::unknown;
    else if constexpr (converts_in_constants<Element>)
        return converts_to_bits<Element>(0x3c00, 0xbe00, 0x0400)   ? storage_format::half
               : converts_to_bits<Element>(0x3f80, 0xbfc0, 0x3880) ? storage_format::bfloat16
                                                                   : storage_format::unknown;
    else
        return format_by_name<Element>();
}

}  // namespace detail

/// The format of a 16-bit type: by the digits of its std::numeric_limits (Eigen::half, c10::Half, std::float16_t), else by
/// the bits that it makes of numbers when the program is compiled (_Float16), else by its name (__half). A type that says
/// nothing of these is named by a specialisation:
///
///     template <> inline constexpr auto distill::storage_format_of<my_half> = distill::storage_format::half;
template <class Element>
inline constexpr storage_format storage_format_of = detail::find_storage_format<Element>();

/// The format where the bits themselves are read or written.
template <class Element>
consteval storage_format known_format() {
    static_assert(storage_format_of<Element> != storage_format::unknown,
                  "distill: whether this 16-bit type is IEEE half or bfloat16 is unknown: specialise "
                  "distill::storage_format_of");
    return storage_format_of<Element>;
}

}  // namespace distill::inline DISTILL_ABI
