/// The products of a head in bfloat16, by oneDNN.
#pragma once

#include <distill/backend/scratch.hpp>
#include <distill/core/storage_format.hpp>
#include <distill/head/matrix_product.hpp>
#include <distill/head/matrix_view.hpp>
#include <distill/row/element.hpp>

#include <oneapi/dnnl/dnnl.hpp>

#include <algorithm>
#include <cstddef>

namespace distill::inline DISTILL_ABI {

/// Hidden states and weights are bfloat16 and multiplied as they are; logits and sums are float. The logits' gradient is
/// rounded to bfloat16, a block at a time, before it is multiplied: an error of at most 1/256 of each of its entries, as in
/// training in bfloat16. A processor with AVX-512 is needed, one with AVX-512 BF16 or AMX makes use of it. Threads are
/// oneDNN's.
///
/// Bits may depend on how many rows there are at once.
struct dnnl_product {
    template <class Hidden>
    using operand = Hidden;

    dnnl::engine engine{dnnl::engine::kind::cpu, 0};

    template <class Element>
        requires(storage_format_of<Element> == storage_format::bfloat16)
    void logits(matrix_view<const Element> h, matrix_view<const Element> w, matrix_view<float> z) const {
        multiply({h.data, h.rows, h.columns, h.row_stride, 1}, {w.data, w.columns, w.rows, 1, w.row_stride}, z, false);
    }

    template <class Element>
        requires(storage_format_of<Element> == storage_format::bfloat16)
    void to_hidden(matrix_view<const float> g, matrix_view<const Element> w, matrix_view<float> dh) const {
        each_block<Element>(g, [&](const Element* block, std::ptrdiff_t first, std::ptrdiff_t count) {
            multiply({block, g.rows, count, count, 1}, {w.row(first), count, w.columns, w.row_stride, 1}, dh, first != 0);
        });
    }

    template <class Element>
        requires(storage_format_of<Element> == storage_format::bfloat16)
    void to_weight(matrix_view<const float> g, matrix_view<const Element> h, matrix_view<float> dw) const {
        each_block<Element>(g, [&](const Element* block, std::ptrdiff_t first, std::ptrdiff_t count) {
            multiply({block, count, g.rows, 1, count}, {h.data, h.rows, h.columns, h.row_stride, 1},
                     dw.middle_rows(first, count), true);
        });
    }

private:
    static constexpr std::ptrdiff_t columns_of_block = 512;

    /// A factor of a product: entry (r, c) stands at data[r * row_stride + c * column_stride].
    struct factor {
        const void* data;
        std::ptrdiff_t rows, columns, row_stride, column_stride;

        [[nodiscard]] dnnl::memory::desc description() const {
            return {{rows, columns}, dnnl::memory::data_type::bf16, dnnl::memory::dims{row_stride, column_stride}};
        }
    };

    /// body(block, first, count) for blocks of columns of g, rounded, side by side.
    template <class Element, class Body>
    static void each_block(const matrix_view<const float>& g, const Body& body) {
        const scratch_row memory(thread_scratch{}, static_cast<std::size_t>(g.rows * columns_of_block) * sizeof(Element));
        auto* const block = static_cast<Element*>(memory.data());
        for (std::ptrdiff_t first = 0; first < g.columns; first += columns_of_block) {
            const std::ptrdiff_t count = (std::min)(columns_of_block, g.columns - first);
            for (std::ptrdiff_t row = 0; row < g.rows; ++row)
                for (std::ptrdiff_t i = 0; i < count; ++i)
                    block[row * count + i] = row::to_element<Element>(g.row(row)[first + i]);
            body(block, first, count);
        }
    }

    void multiply(const factor& a, const factor& b, const matrix_view<float>& c, bool adds) const {
        const dnnl::memory::desc of_c({c.rows, c.columns}, dnnl::memory::data_type::f32,
                                      dnnl::memory::dims{c.row_stride, 1});
        dnnl::primitive_attr attributes;
        if (adds) {
            dnnl::post_ops sum;
            sum.append_sum(1.0f);
            attributes.set_post_ops(sum);
        }
#if DNNL_VERSION_MAJOR < 3
        const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a.description(), b.description(), of_c),
                                                       attributes, engine);
#else
        const dnnl::matmul::primitive_desc description(engine, a.description(), b.description(), of_c, attributes);
#endif
        dnnl::stream stream(engine);
        dnnl::matmul(description)
            .execute(stream, {{DNNL_ARG_SRC, {a.description(), engine, const_cast<void*>(a.data)}},
                              {DNNL_ARG_WEIGHTS, {b.description(), engine, const_cast<void*>(b.data)}},
                              {DNNL_ARG_DST, {of_c, engine, c.data}}});
        stream.wait();
    }
};

}  // namespace distill::inline DISTILL_ABI
