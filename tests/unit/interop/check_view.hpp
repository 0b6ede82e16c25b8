// What a view and a per-row array are of, and the sentence with which another is refused.
#pragma once

#include <distill/core/logits_view.hpp>
#include <distill/core/row_array.hpp>

#include <doctest/doctest.h>

#include <concepts>
#include <cstddef>
#include <stdexcept>
#include <string>

namespace distill_test {

template <class View, class T>
void check_view(const View& view, T* data, std::ptrdiff_t rows, std::ptrdiff_t vocabulary, std::ptrdiff_t stride) {
    static_assert(std::same_as<View, distill::logits_view<T>>);
    CHECK(view.data == data);
    CHECK(view.rows == rows);
    CHECK(view.vocabulary == vocabulary);
    CHECK(view.row_stride == stride);
}

template <class Expected, class Array>
void check_values(const Array& values, const void* data, std::ptrdiff_t size) {
    static_assert(std::same_as<Array, Expected>);
    CHECK(values.address() == data);
    CHECK(values.size() == size);
}

template <class Call>
std::string refusal(const Call& call) {
    try {
        static_cast<void>(call());
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return "accepted";
}

}  // namespace distill_test
