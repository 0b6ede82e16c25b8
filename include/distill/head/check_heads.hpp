/// What can be wrong with heads, their gradients and their workspace, found before the first write.
#pragma once

#include <distill/check/call_checker.hpp>
#include <distill/check/validate.hpp>
#include <distill/core/batch.hpp>
#include <distill/head/linear_head.hpp>
#include <distill/head/matrix_view.hpp>

#include <cstddef>
#include <limits>
#include <string_view>

namespace distill::inline DISTILL_ABI::detail {

/// A matrix or a vector of a call without the type of its elements. An absent one has no rows.
struct named_matrix {
    std::string_view name;
    const void* data = nullptr;
    std::ptrdiff_t rows = 0;
    std::ptrdiff_t columns = 0;
    std::ptrdiff_t row_stride = 0;
    std::size_t element_bytes = 1;
    bool absent = true;

    template <class Element>
    named_matrix(std::string_view called, const matrix_view<Element>& view)
        : name(called),
          data(view.data),
          rows(view.rows),
          columns(view.columns),
          row_stride(view.row_stride),
          element_bytes(sizeof(Element)),
          absent(view.absent()) {}
    template <class Element>
    named_matrix(std::string_view called, const vector_view<Element>& view)
        : name(called),
          data(view.data),
          rows(view.absent() ? 0 : 1),
          columns(view.size),
          row_stride(view.size),
          element_bytes(sizeof(Element)),
          absent(view.absent()) {}

    [[nodiscard]] region memory() const {
        if (absent) return {};
        return {reinterpret_cast<std::uintptr_t>(data), static_cast<std::size_t>(rows),
                static_cast<std::size_t>(columns) * element_bytes, static_cast<std::size_t>(row_stride) * element_bytes};
    }
};

inline void check_matrix(call_checker& checker, const named_matrix& m) {
    if (!checker.demand(m.rows >= 0, {m.name, " has ", m.rows, " rows"}) || m.absent) return;
    checker.demand(m.columns >= 1, {m.name, " has a width of ", m.columns, ", expected at least 1"});
    checker.demand(m.row_stride >= m.columns,
                   {m.name, " has a row stride of ", m.row_stride, ", expected at least its width ", m.columns});
    if (!checker.fine() || m.rows == 0) return;
    const auto most = (std::numeric_limits<std::ptrdiff_t>::max)() / static_cast<std::ptrdiff_t>(m.element_bytes);
    checker.demand(m.rows <= most / m.row_stride,
                   {m.name, " has ", m.rows, " rows of stride ", m.row_stride, ", more than memory can hold"});
    checker.demand(m.data != nullptr, {m.name, " has ", m.rows, " rows and a null pointer"});
    checker.demand(reinterpret_cast<std::uintptr_t>(m.data) % m.element_bytes == 0,
                   {m.name, " is not aligned to its element type"});
}

inline void check_vector(call_checker& checker, const named_matrix& v) {
    if (v.absent) return;
    checker.demand(v.columns >= 0, {v.name, " has ", v.columns, " elements"});
    checker.demand(v.data != nullptr, {v.name, " has ", v.columns, " elements and a null pointer"});
    checker.demand(reinterpret_cast<std::uintptr_t>(v.data) % v.element_bytes == 0,
                   {v.name, " is not aligned to its element type"});
}

/// The three parts of a head, or of its gradients, and what their shapes are.
struct named_head {
    named_matrix hidden, weight, bias;
};

/// `like`: the head whose shape a gradient has to have; null for a head itself, which needs its matrices.
inline void check_head(call_checker& checker, const named_head& head, const named_head* like) {
    check_matrix(checker, head.hidden);
    check_matrix(checker, head.weight);
    check_vector(checker, head.bias);
    if (!checker.fine()) return;
    const named_head& shape = like == nullptr ? head : *like;
    if (like == nullptr) {
        checker.demand(!head.weight.absent, {head.weight.name, " is empty"});
        checker.demand(!head.hidden.absent, {head.hidden.name, " is empty"});
    } else if (!head.hidden.absent) {
        checker.demand(head.hidden.rows == shape.hidden.rows, {head.hidden.name, " has ", head.hidden.rows, " rows, ",
                                                               shape.hidden.name, " has ", shape.hidden.rows});
    }
    const std::ptrdiff_t width = shape.weight.columns;
    if (!head.hidden.absent)
        checker.demand(head.hidden.columns == width,
                       {head.hidden.name, " has a width of ", head.hidden.columns, ", ", shape.weight.name, " has ", width});
    if (like != nullptr && !head.weight.absent) {
        checker.demand(head.weight.rows == shape.weight.rows, {head.weight.name, " has ", head.weight.rows, " rows, ",
                                                               shape.weight.name, " has ", shape.weight.rows});
        checker.demand(head.weight.columns == width,
                       {head.weight.name, " has a width of ", head.weight.columns, ", ", shape.weight.name, " has ", width});
    }
    if (!head.bias.absent)
        checker.demand(head.bias.columns == shape.weight.rows, {head.bias.name, " has ", head.bias.columns, " elements, ",
                                                                shape.weight.name, " has ", shape.weight.rows, " rows"});
}

/// Two heads of one call: rows and vocabularies agree, widths need not.
inline void check_teacher_beside(call_checker& checker, const named_head& teacher, const named_head& student) {
    checker.demand(teacher.hidden.rows == student.hidden.rows, {teacher.hidden.name, " has ", teacher.hidden.rows, " rows, ",
                                                                student.hidden.name, " has ", student.hidden.rows});
    checker.demand(teacher.weight.rows == student.weight.rows, {teacher.weight.name, " has ", teacher.weight.rows, " rows, ",
                                                                student.weight.name, " has ", student.weight.rows});
}

/// An output against everything that is read, and against the other outputs, which begin at `others`.
inline void check_apart(call_checker& checker, std::string_view name, const region& output,
                        std::initializer_list<const named_head*> heads, const untyped_batch& in) {
    check_output(checker, name, output, false, in);
    for (const named_head* head : heads)
        for (const named_matrix* part : {&head->hidden, &head->weight, &head->bias})
            if (part->name != name) checker.no_overlap(name, output, part->name, part->memory());
}

}  // namespace distill::inline DISTILL_ABI::detail
