/// A loss of hidden states and the weights of their head, and its gradients with respect to both.
#pragma once

#include <distill/check/call_checker.hpp>
#include <distill/check/validate.hpp>
#include <distill/core/batch.hpp>
#include <distill/core/error.hpp>
#include <distill/core/logits_view.hpp>
#include <distill/core/number.hpp>
#include <distill/core/result.hpp>
#include <distill/head/check_heads.hpp>
#include <distill/head/in_chunks.hpp>
#include <distill/head/linear_head.hpp>
#include <distill/head/matrix_product.hpp>
#include <distill/head/matrix_view.hpp>
#include <distill/loss.hpp>
#include <distill/row/element.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

namespace distill::inline DISTILL_ABI {

namespace detail {

/// The hidden states of a chunk side by side, as many as it has room for; zeros in those that are no rows.
template <class Hidden, class Operand>
matrix_view<const Operand> gather(const row_chunk& chunk, const matrix_view<const Hidden>& hidden, Operand* memory) {
    const std::ptrdiff_t width = hidden.columns;
    Operand* out = memory;
    for (const std::ptrdiff_t row : chunk.rows) {
        const Hidden* const from = hidden.row(row);
        if constexpr (std::is_same_v<Hidden, Operand>)
            std::copy_n(from, width, out);
        else
            for (std::ptrdiff_t i = 0; i < width; ++i) out[i] = row::from_element<Operand>(from[i]);
        out += width;
    }
    std::fill(out, memory + chunk.room * width, row::to_element<Operand>(0.0f));
    return {memory, chunk.room, width};
}

/// The other way round: a row of a gradient into its place.
template <class Real, class Element>
void scatter(const row_chunk& chunk, const Real* rows, const matrix_gradient<Element>& destination) {
    const std::ptrdiff_t width = destination.view.columns;
    for (const std::ptrdiff_t row : chunk.rows) {
        Element* const out = destination.view.row(row);
        for (std::ptrdiff_t i = 0; i < width; ++i) {
            const Real added = destination.adds ? row::from_element<Real>(out[i]) : Real(0);
            out[i] = row::to_element<Element>(added + rows[i]);
        }
        rows += width;
    }
}

template <class Real, class Element>
void add_bias(const logits_view<Real>& logits, std::ptrdiff_t rows, const vector_view<const Element>& bias) {
    if (bias.absent()) return;
    for (std::ptrdiff_t row = 0; row < rows; ++row) {
        Real* const z = logits.row(row);
        for (std::ptrdiff_t v = 0; v < bias.size; ++v) z[v] += row::from_element<Real>(bias.data[v]);
    }
}

/// Adds the columns' sums over the rows of one group.
template <class Real>
void add_columns(const matrix_view<const Real>& group, Real* sums) {
    constexpr std::ptrdiff_t length = 256;
    for (std::ptrdiff_t begin = 0; begin < group.columns; begin += length) {
        const std::ptrdiff_t count = (std::min)(length, group.columns - begin);
        Real of_group[length] = {};
        for (std::ptrdiff_t row = 0; row < group.rows; ++row)
            for (std::ptrdiff_t i = 0; i < count; ++i) of_group[i] += group.row(row)[begin + i];
        for (std::ptrdiff_t i = 0; i < count; ++i) sums[begin + i] += of_group[i];
    }
}

/// In place of the teacher's head.
struct no_head {};

template <class Hidden, class Weight>
named_head named(bool of_teacher, const linear_head<Hidden, Weight>& head) {
    return {{of_teacher ? "teacher.hidden" : "student.hidden", head.hidden},
            {of_teacher ? "teacher.weight" : "student.weight", head.weight},
            {of_teacher ? "teacher.bias" : "student.bias", head.bias}};
}
template <class Hidden, class Sum>
named_head named(const head_gradients<Hidden, Sum>& gradients) {
    return {{"gradient.hidden", gradients.hidden.view},
            {"gradient.weight", gradients.weight.view},
            {"gradient.bias", gradients.bias.view}};
}

/// True where the product takes a head's matrices.
template <class Product, class Head, class Real>
inline constexpr bool multiplies = true;
template <class Product, class Hidden, class Weight, class Real>
inline constexpr bool multiplies<Product, linear_head<Hidden, Weight>, Real> = matrix_product<Product, Hidden, Weight, Real>;

template <class... Heads>
struct logit_of_heads;
template <class Hidden, class Weight>
struct logit_of_heads<linear_head<Hidden, Weight>, no_head> {
    using type = logit_of<Hidden, Weight>;
};
template <class Hidden, class Weight, class TeacherHidden, class TeacherWeight>
struct logit_of_heads<linear_head<Hidden, Weight>, linear_head<TeacherHidden, TeacherWeight>> {
    using type = logit_of<Hidden, Weight, TeacherHidden, TeacherWeight>;
};

}  // namespace detail

/// A loss through the heads of student and teacher: the logits of a few rows at a time are made, turned into their gradient
/// in place, and multiplied back.
///
///     z = H W^T + b        G = dL/dz        dL/dH = G W        dL/dW = G^T H        dL/db = sum of G's rows
///
///     const distill::linear_head<float> student{.hidden = {h, rows, d}, .weight = {w, vocabulary, d}};
///     const distill::through_heads f{loss, distill::eigen_product{}, distill::rows_at_once{128}};
///     std::vector<std::byte> memory(f.workspace_bytes(student, teacher));
///     const auto r = f(student, teacher, in, {.hidden = {dh, rows, d}, .weight = accumulate(dw)}, memory);
///
/// `in` is a batch without the student's logits; token ids, and the index of a row, are those of the whole batch. The
/// teacher has a head, of a width of its own, or the batch has its logits, its most probable tokens, or nothing: f(student,
/// in, gradients, memory). Without gradients: the loss alone. A gradient that is absent is neither computed nor given
/// memory: where the weights are frozen, leave it out.
///
/// Logits are float, and computed in float, where all elements are float or 16 bits wide; else double. Gradients of weights
/// and bias are summed in that type, whatever the type of the weights. Masked rows cost no product; their gradient is zero,
/// or stays as it is where it is added to. A row that is not finite makes its own row of dL/dH NaN, and dL/dW and dL/db.
///
/// Bits: the loss has those of the loss on the same logits. Loss and gradients have the same for every number of rows at
/// once, where the product's rows do not depend on their number, and for every number of threads for which the product's do
/// not.
///
/// Memory: the workspace; workspace_bytes says how it is made up. The product and the backend may have memory of their own.
///
/// Errors (invalid_input, nothing is written): those of the loss; shapes, widths and strides; null pointers; a workspace
/// that is too small; an output or the workspace that overlaps anything else.
template <class Loss, class Product>
class through_heads {
public:
    constexpr through_heads(Loss f, Product product, rows_at_once rows = {})
        : chunks_(std::move(f), rows), product_(std::move(product)) {}

    /// The loss and its gradients. Gradients is distill::head_gradients<Hidden, Sum>; in braces, of the student's element
    /// type.
    template <class Hidden, class Weight, class TeacherHidden, class TeacherWeight, class Student, class Teacher,
              class Gradients = head_gradients<Hidden, detail::logit_of<Hidden, Weight, TeacherHidden, TeacherWeight>>>
    loss_result operator()(const linear_head<Hidden, Weight>& student,
                           const linear_head<TeacherHidden, TeacherWeight>& teacher, const batch<Student, Teacher>& in,
                           const Gradients& gradients, std::span<std::byte> memory) const {
        return run<true>(student, teacher, in, gradients, memory);
    }
    /// The same without a teacher's head.
    template <class Hidden, class Weight, class Student, class Teacher,
              class Gradients = head_gradients<Hidden, detail::logit_of<Hidden, Weight>>>
    loss_result operator()(const linear_head<Hidden, Weight>& student, const batch<Student, Teacher>& in,
                           const Gradients& gradients, std::span<std::byte> memory) const {
        return run<true>(student, detail::no_head{}, in, gradients, memory);
    }
    /// The loss alone.
    template <class Hidden, class Weight, class TeacherHidden, class TeacherWeight, class Student, class Teacher>
    loss_result operator()(const linear_head<Hidden, Weight>& student,
                           const linear_head<TeacherHidden, TeacherWeight>& teacher, const batch<Student, Teacher>& in,
                           std::span<std::byte> memory) const {
        using real = detail::logit_of<Hidden, Weight, TeacherHidden, TeacherWeight>;
        return run<false>(student, teacher, in, head_gradients<Hidden, real>{}, memory);
    }
    template <class Hidden, class Weight, class Student, class Teacher>
    loss_result operator()(const linear_head<Hidden, Weight>& student, const batch<Student, Teacher>& in,
                           std::span<std::byte> memory) const {
        return run<false>(student, detail::no_head{}, in, head_gradients<Hidden, detail::logit_of<Hidden, Weight>>{},
                          memory);
    }

    /// The size of the workspace: with c rows at once (no more than there are, in whole groups of 64), n rows, and numbers
    /// of e bytes, 4 or 8,
    ///
    ///     c V e, once for each head  +  c max(d, d_teacher) e  +  8 n  +  16 c  +  padding
    ///
    /// whatever gradients are asked for.
    template <class Hidden, class Weight, class TeacherHidden, class TeacherWeight>
    [[nodiscard]] std::size_t workspace_bytes(const linear_head<Hidden, Weight>& student,
                                              const linear_head<TeacherHidden, TeacherWeight>& teacher) const {
        return bytes_of(student, teacher);
    }
    template <class Hidden, class Weight>
    [[nodiscard]] std::size_t workspace_bytes(const linear_head<Hidden, Weight>& student) const {
        return bytes_of(student, detail::no_head{});
    }

private:
    template <class Head>
    static constexpr bool is_head = !std::is_same_v<Head, detail::no_head>;

    template <class Student, class Teacher>
    std::size_t bytes_of(const Student& student, const Teacher& teacher) const {
        using real = typename detail::logit_of_heads<Student, Teacher>::type;
        std::ptrdiff_t width = student.weight.columns;
        if constexpr (is_head<Teacher>) width = (std::max)(width, teacher.weight.columns);
        return chunks_.template workspace_bytes<real>(shape_of(student), is_head<Teacher>) +
               detail::workspace_parts::alignment +
               detail::bytes_of_part<real>(width * detail::rows_of_chunk(chunks_.chunk_rows().rows, student.hidden.rows));
    }

    template <class Head>
    static logits_shape shape_of(const Head& student) {
        return {student.hidden.rows, student.weight.rows};
    }

    /// The steps of one call. `rows` has the hidden states of a chunk, the teacher's or the student's, and then their
    /// gradient.
    template <class Real, class Student, class Teacher, class Gradients>
    struct steps_of_heads {
        const Product& product;
        const Student& of_student;
        const Teacher& of_teacher;
        const Gradients& gradients;
        void* rows;

        void begin() const {
            const auto clear = []<class Element>(const matrix_gradient<Element>& g) {
                if (g.adds) return;
                for (std::ptrdiff_t row = 0; row < g.view.rows; ++row)
                    std::fill_n(g.view.row(row), g.view.columns, row::to_element<Element>(0.0f));
            };
            clear(gradients.hidden);
            clear(gradients.weight);
            if (!gradients.bias.adds) std::fill_n(gradients.bias.view.data, gradients.bias.view.size, Real(0));
        }
        template <class Logits>
        void teacher(const row_chunk& chunk, const Logits& logits) const {
            static_cast<void>(make(of_teacher, chunk, logits));
        }
        template <class Logits>
        void student(const row_chunk& chunk, const Logits& logits) const {
            static_cast<void>(make(of_student, chunk, logits));
        }
        template <class Gradient>
        void consume(const row_chunk& chunk, const Gradient& gradient) const {
            using operand = operand_of<Student>;
            const matrix_view<const Real> g{gradient.data, chunk.room, gradient.vocabulary, gradient.row_stride};
            const matrix_view<const operand> h{static_cast<const operand*>(rows), chunk.room, of_student.hidden.columns};
            for (std::ptrdiff_t first = 0; first < chunk.room; first += detail::rows_of_group) {
                const auto group = g.middle_rows(first, detail::rows_of_group);
                if (!gradients.weight.view.absent())
                    product.to_weight(group, h.middle_rows(first, detail::rows_of_group), gradients.weight.view);
                if (!gradients.bias.view.absent()) detail::add_columns(group, gradients.bias.view.data);
            }
            if (gradients.hidden.view.absent()) return;
            auto* const of_rows = static_cast<Real*>(rows);
            product.to_hidden(g, of_student.weight, matrix_view<Real>{of_rows, chunk.room, h.columns});
            detail::scatter(chunk, of_rows, gradients.hidden);
        }

    private:
        template <class Head>
        using operand_of =
            typename detail::operand_of<Product, std::remove_const_t<std::remove_pointer_t<decltype(Head{}.hidden.data)>>,
                                        Real>::type;

        template <class Head>
        void make(const Head& head, const row_chunk& chunk, const logits_view<Real>& logits) const {
            const auto h = detail::gather(chunk, head.hidden, static_cast<operand_of<Head>*>(rows));
            product.logits(h, head.weight, matrix_view<Real>{logits.data, chunk.room, logits.vocabulary, logits.row_stride});
            detail::add_bias(logits, static_cast<std::ptrdiff_t>(chunk.rows.size()), head.bias);
        }
    };

    template <bool Writes, class Student, class Teacher, class In, class Gradients>
    loss_result run(const Student& student, const Teacher& teacher, const In& in, const Gradients& gradients,
                    std::span<std::byte> memory) const {
        using real = typename detail::logit_of_heads<Student, Teacher>::type;
        static_assert(
            detail::multiplies<Product, Student, real> && detail::multiplies<Product, Teacher, real>,
            "distill: the product does not multiply matrices of these types: it has logits, to_hidden and to_weight for "
            "hidden states, weights and sums of theirs");
        detail::call_checker checker;
        find_errors(checker, student, teacher, in, gradients, memory);
        if (!checker.fine()) {
            report_error(checker.error());
            return {.value = quiet_nan()};
        }
        batch<real, std::remove_const_t<std::remove_pointer_t<decltype(in.teacher.data)>>> fields;
        for_each_field([](const batch_field&, auto& to, const auto& from) { to = from; }, fields, in);
        fields.teacher = in.teacher;
        const std::size_t of_chunks = chunks_.template workspace_bytes<real>(shape_of(student), is_head<Teacher>);
        detail::workspace_parts parts(memory.subspan(of_chunks));
        const steps_of_heads<real, Student, Teacher, Gradients> steps{product_, student, teacher, gradients,
                                                                      parts.template take<real>(0)};
        return detail::run_chunks<real, is_head<Teacher>, Writes>(chunks_.of_loss(), shape_of(student), fields,
                                                                  chunks_.chunk_rows(), steps, memory.first(of_chunks));
    }

    template <class Student, class Teacher, class In, class Gradients>
    void find_errors(detail::call_checker& checker, const Student& student, const Teacher& teacher, const In& in,
                     const Gradients& gradients, std::span<std::byte> memory) const {
        using detail::named_head;
        const named_head of_student = detail::named(false, student), of_gradients = detail::named(gradients);
        detail::check_head(checker, of_student, nullptr);
        named_head of_teacher = of_student;
        if constexpr (is_head<Teacher>) {
            of_teacher = detail::named(true, teacher);
            detail::check_head(checker, of_teacher, nullptr);
            if (checker.fine()) detail::check_teacher_beside(checker, of_teacher, of_student);
            checker.demand(in.teacher.absent(), {"batch.teacher is given, and a head that makes it"});
        }
        checker.demand(in.student.absent(), {"batch.student is given, and a head that makes it"});
        if (checker.fine()) detail::check_head(checker, of_gradients, &of_student);
        if (!checker.fine()) return;
        detail::check_chunks(checker, shape_of(student), chunks_.chunk_rows(), memory.size(),
                             [&] { return bytes_of(student, teacher); });
        if (!checker.fine()) return;
        const detail::untyped_batch fields(in);
        const auto apart = [&](std::string_view name, const detail::region& output) {
            detail::check_apart(checker, name, output, {&of_student, &of_teacher, &of_gradients}, fields);
        };
        apart("the workspace", detail::region_of_memory(memory));
        for (const auto* part : {&of_gradients.hidden, &of_gradients.weight, &of_gradients.bias})
            apart(part->name, part->memory());
    }

    in_chunks<Loss> chunks_;
    [[no_unique_address]] Product product_;
};

template <class Loss, class Product>
through_heads(Loss, Product, rows_at_once = {}) -> through_heads<Loss, Product>;

}  // namespace distill::inline DISTILL_ABI
