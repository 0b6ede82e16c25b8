// A view is of this type and of this memory.
#pragma once

#include <distill/core/logits_view.hpp>

#include <doctest/doctest.h>

#include <concepts>
#include <cstddef>

namespace distill_test {

template <class View, class T>
void check_view(const View& view, T* data, std::ptrdiff_t rows, std::ptrdiff_t vocabulary, std::ptrdiff_t stride) {
    static_assert(std::same_as<View, distill::logits_view<T>>);
    CHECK(view.data == data);
    CHECK(view.rows == rows);
    CHECK(view.vocabulary == vocabulary);
    CHECK(view.row_stride == stride);
}

}  // namespace distill_test
