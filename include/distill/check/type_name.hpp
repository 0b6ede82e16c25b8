/// A type's name, for error messages.
#pragma once

#include <distill/core/abi.hpp>

#include <string_view>

namespace distill::inline DISTILL_ABI::detail {

/// The unqualified name of a type without its template arguments: `forward_kl` for distill::forward_kl.
template <class T>
constexpr std::string_view type_name() noexcept {
    std::string_view name = __PRETTY_FUNCTION__;
    name.remove_prefix(name.find("T = ") + 4);
    name = name.substr(0, name.find_first_of(";]<"));
    const auto qualification = name.rfind("::");
    return qualification == std::string_view::npos ? name : name.substr(qualification + 2);
}

}  // namespace distill::inline DISTILL_ABI::detail
