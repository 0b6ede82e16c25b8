/// A loss of logits that are never in memory all at once: somebody makes them, a few rows at a time.
#pragma once

#include <distill/call/row_sums.hpp>
#include <distill/call/row_window.hpp>
#include <distill/check/call_checker.hpp>
#include <distill/check/validate.hpp>
#include <distill/core/batch.hpp>
#include <distill/core/error.hpp>
#include <distill/core/gradient.hpp>
#include <distill/core/logits_view.hpp>
#include <distill/core/number.hpp>
#include <distill/core/result.hpp>
#include <distill/loss.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

namespace distill::inline DISTILL_ABI {

/// How many rows of logits are in memory together: a multiple of 64. On a processor the products of a head are as fast from
/// 64 rows on; fewer rows need less memory.
struct rows_at_once {
    std::ptrdiff_t rows = 128;

    constexpr rows_at_once() = default;
    constexpr explicit rows_at_once(std::ptrdiff_t count) noexcept : rows(count) {}
};

/// The shape of all logits: rows, masked ones too, and vocabulary.
struct logits_shape {
    std::ptrdiff_t rows = 0;
    std::ptrdiff_t vocabulary = 0;
};

/// The rows of one chunk. Masked rows are in none.
struct row_chunk {
    std::span<const std::ptrdiff_t> rows;  ///< their indices in the batch, ascending
    /// The multiple of 64 that holds them: how many rows the chunk's matrices have room for. Logits beyond rows.size() may
    /// be written and are not read; the gradient there is zero. Products over `room` rows have bits that do not depend on
    /// how rows are divided into chunks.
    std::ptrdiff_t room;
};

/// In place of a producer: the teacher's logits are those of batch.teacher, or there are none.
struct no_producer {};

namespace detail {

/// Rows are made, and gradients of weights added up, in groups of so many.
inline constexpr std::ptrdiff_t rows_of_group = 64;

constexpr std::ptrdiff_t whole_groups(std::ptrdiff_t rows) {
    return rows / rows_of_group * rows_of_group + (rows % rows_of_group == 0 ? 0 : rows_of_group);
}

/// The rows of the largest chunk.
constexpr std::ptrdiff_t rows_of_chunk(std::ptrdiff_t at_once, std::ptrdiff_t rows) {
    return (std::min)(at_once, whole_groups(rows));
}

/// Parts of the caller's memory, each at a multiple of 64.
class workspace_parts {
public:
    static constexpr std::size_t alignment = 64;
    static constexpr std::size_t padded(std::size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

    explicit workspace_parts(std::span<std::byte> memory)
        : next_(memory.data() + padding_before(reinterpret_cast<std::uintptr_t>(memory.data()))) {}

    template <class Element>
    Element* take(std::ptrdiff_t count) {
        std::byte* const part = next_;
        next_ += padded(static_cast<std::size_t>(count) * sizeof(Element));
        return reinterpret_cast<Element*>(part);
    }

private:
    static constexpr std::size_t padding_before(std::uintptr_t address) {
        return (alignment - address % alignment) % alignment;
    }

    std::byte* next_;
};

template <class Element>
constexpr std::size_t bytes_of_part(std::ptrdiff_t count) {
    return workspace_parts::padded(static_cast<std::size_t>(count) * sizeof(Element));
}

/// The rows of logits begin at a multiple of 64 bytes.
template <class Real>
constexpr std::ptrdiff_t stride_of_logits(std::ptrdiff_t vocabulary) {
    return static_cast<std::ptrdiff_t>(bytes_of_part<Real>(vocabulary) / sizeof(Real));
}

template <class Real>
constexpr std::size_t bytes_of_chunks(const logits_shape& shape, std::ptrdiff_t at_once, bool makes_teacher) {
    const std::ptrdiff_t chunk = rows_of_chunk(at_once, shape.rows);
    const std::size_t logits = bytes_of_part<Real>(chunk * stride_of_logits<Real>(shape.vocabulary));
    return workspace_parts::alignment + (makes_teacher ? 2 : 1) * logits + bytes_of_part<double>(shape.rows) +
           bytes_of_part<std::ptrdiff_t>(chunk) + bytes_of_part<double>(chunk);
}

/// The shape of logits in chunks, and the workspace's size. `needed()` is called where the shape is sound.
template <class Needed>
void check_chunks(call_checker& checker, const logits_shape& shape, const rows_at_once& at_once, std::size_t bytes,
                  const Needed& needed) {
    untyped_view all;
    all.data = &all;
    all.rows = shape.rows;
    all.vocabulary = all.row_stride = shape.vocabulary;
    all.element_bytes = sizeof(double);
    if (shape.rows != 0 || shape.vocabulary != 0) checker.view("batch.student", all);
    checker.demand(at_once.rows >= rows_of_group && at_once.rows % rows_of_group == 0,
                   {"rows_at_once is ", at_once.rows, ", expected a multiple of ", rows_of_group});
    if (!checker.fine()) return;
    checker.demand(bytes >= needed(), {"the workspace has ", bytes, " bytes, this call needs ", needed()});
}

inline region region_of_memory(std::span<const std::byte> memory) {
    return {reinterpret_cast<std::uintptr_t>(memory.data()), memory.empty() ? std::size_t{0} : std::size_t{1}, memory.size(),
            memory.size()};
}

/// Runs the chunks of one call. `Steps` has begin(), once and before the first write; and for each chunk, in this order,
/// teacher(chunk, logits) and student(chunk, logits), which fill the logits of `room` rows, and consume(chunk, gradient).
template <class Real, bool MakesTeacher, bool Writes, class Loss, class Teacher, class Steps>
loss_result run_chunks(const Loss& f, const logits_shape& shape, const batch<Real, Teacher>& given,
                       const rows_at_once& at_once, const Steps& steps, std::span<std::byte> memory) {
    using teacher_type = std::conditional_t<MakesTeacher, Real, Teacher>;
    const std::ptrdiff_t length = rows_of_chunk(at_once.rows, shape.rows), stride = stride_of_logits<Real>(shape.vocabulary);
    workspace_parts parts(memory);
    const logits_view<Real> student{parts.take<Real>(length * stride), length, shape.vocabulary, stride};
    logits_view<teacher_type> teacher{};
    if constexpr (MakesTeacher) teacher = {parts.take<Real>(length * stride), length, shape.vocabulary, stride};
    const std::span<double> losses(parts.take<double>(shape.rows), static_cast<std::size_t>(shape.rows));
    const std::span<std::ptrdiff_t> rows(parts.take<std::ptrdiff_t>(length), static_cast<std::size_t>(length));
    double* const weights = parts.take<double>(length);

    // The logits of all rows have a shape. Their addresses are not read: every row is in a window.
    batch<Real, teacher_type> in;
    for_each_field([](const batch_field&, auto& to, const auto& from) { to = from; }, in, given);
    in.student = {student.data, shape.rows, shape.vocabulary};
    if constexpr (MakesTeacher)
        in.teacher = {teacher.data, shape.rows, shape.vocabulary};
    else
        in.teacher = given.teacher;

    const auto windows = [&](const auto& backend, auto& call) {
        using call_type = std::remove_cvref_t<decltype(call)>;
        static_assert(!device_backend<std::remove_cvref_t<decltype(backend)>>,
                      "distill: logits are made in chunks on the host: its backends are distill::eigen, distill::reference");
        std::uninitialized_fill(losses.begin(), losses.end(), 0.0);
        call.row_losses = losses;
        steps.begin();
        if (shape.rows == 0) return call::row_sums{};
        const auto weigher = call.weigher();
        typename decltype(call.weigher())::cursor cursor(weigher, 0);
        call::row_sums counts;
        for (std::ptrdiff_t next = 0; next < shape.rows;) {
            std::ptrdiff_t count = 0;
            for (; next < shape.rows && count < length; ++next) {
                if (weigher.own_weight(next) == 0.0) continue;
                rows[static_cast<std::size_t>(count)] = next;
                weights[count++] = cursor.weight(next);
            }
            if (count == 0) break;
            const row_chunk chunk{rows.first(static_cast<std::size_t>(count)), whole_groups(count)};
            logits_view<Real> z = student;
            z.rows = chunk.room;
            logits_view<teacher_type> w = teacher;
            if constexpr (MakesTeacher) {
                w.rows = chunk.room;
                steps.teacher(chunk, w);
            }
            steps.student(chunk, z);
            call::call_in_window<call_type> window{call, rows.data(), weights, z, w, {}, {{count, shape.vocabulary}}};
            if constexpr (Writes) window.gradient = z;
            counts = counts + backend.run(window);
            if constexpr (Writes) {
                for (std::ptrdiff_t beyond = count; beyond < chunk.room; ++beyond)
                    std::fill_n(z.row(beyond), z.vocabulary, Real(0));
                steps.consume(chunk, logits_view<const Real>(z));
            }
        }
        call::row_sums sums = backend.run(call::kept_losses<call_type>{call, losses.data()});
        sums.clipped_rows = counts.clipped_rows;
        sums.guarded_rows = counts.guarded_rows;
        return sums;
    };
    if constexpr (Writes)
        return f.in_windows(in, gradient<Real>(logits_view<Real>(student.data, shape.rows, shape.vocabulary)), windows);
    else
        return f.in_windows(in, row::no_gradient{}, windows);
}

}  // namespace detail

/// A loss whose logits are made, used and forgotten a few rows at a time: of heads that are sharded, quantised, adapted by
/// LoRA, or not linear at all. distill::through_heads is made of it.
///
///     const distill::in_chunks f{loss, distill::rows_at_once{128}};
///     std::vector<std::byte> memory(f.workspace_bytes<float>({rows, vocabulary}));
///     f({rows, vocabulary}, in, student, distill::no_producer{}, consume, memory);
///
/// `in` is a batch without the student's logits; ids, and the index of a row, are those of the whole batch. Real, its
/// student's element, is float or double. Called in turn, for each chunk of active rows in ascending order:
///
///     teacher(chunk, logits)      writes row i of the view: the logits of row chunk.rows[i] of the batch;
///                                 distill::no_producer{}: batch.teacher has them, or no term reads them
///     student(chunk, logits)      the same
///     consume(chunk, gradient)    reads dL/dz of these rows, in the place of the student's logits
///
/// The result and every row of the gradient have the bits of the loss on the same logits, for every number of rows at once.
/// A weight that a sequence or a mean gives a row is that of the whole batch. Memory: rows_at_once x vocabulary, for the
/// student and for a teacher that is made, and 8 bytes for each row.
///
/// Errors (invalid_input, nothing is written): those of the loss; a batch that has logits which are made; a workspace that
/// is too small or overlaps the batch; rows_at_once that are no multiple of 64. What a producer throws leaves the call.
template <class Loss>
class in_chunks {
public:
    constexpr explicit in_chunks(Loss f, rows_at_once rows = {}) : loss_(std::move(f)), at_once_(rows) {}

    /// The loss, and for each chunk its gradient.
    template <class Real, class Teacher, class MakeStudent, class MakeTeacher, class Consume>
    loss_result operator()(const logits_shape& shape, const batch<Real, Teacher>& in, const MakeStudent& student,
                           const MakeTeacher& teacher, const Consume& consume, std::span<std::byte> memory) const {
        return run<true>(shape, in, student, teacher, consume, memory);
    }
    /// The loss alone.
    template <class Real, class Teacher, class MakeStudent, class MakeTeacher>
    loss_result operator()(const logits_shape& shape, const batch<Real, Teacher>& in, const MakeStudent& student,
                           const MakeTeacher& teacher, std::span<std::byte> memory) const {
        return run<false>(shape, in, student, teacher, [](const auto&...) {}, memory);
    }

    /// The size of the workspace. `makes_teacher`: there is a producer of the teacher's logits.
    template <std::floating_point Real>
    [[nodiscard]] constexpr std::size_t workspace_bytes(const logits_shape& shape, bool makes_teacher = false) const {
        return detail::bytes_of_chunks<Real>(shape, at_once_.rows, makes_teacher);
    }

    [[nodiscard]] constexpr const Loss& of_loss() const noexcept { return loss_; }
    [[nodiscard]] constexpr const rows_at_once& chunk_rows() const noexcept { return at_once_; }

private:
    template <class MakeStudent, class MakeTeacher, class Consume>
    struct steps_of_caller {
        const MakeStudent& make_student;
        const MakeTeacher& make_teacher;
        const Consume& use_gradient;

        void begin() const {}
        template <class Logits>
        void student(const row_chunk& chunk, const Logits& logits) const {
            make_student(chunk, logits);
        }
        template <class Logits>
        void teacher(const row_chunk& chunk, const Logits& logits) const {
            make_teacher(chunk, logits);
        }
        template <class Gradient>
        void consume(const row_chunk& chunk, const Gradient& gradient) const {
            use_gradient(chunk, gradient);
        }
    };

    template <bool Writes, class Real, class Teacher, class MakeStudent, class MakeTeacher, class Consume>
    loss_result run(const logits_shape& shape, const batch<Real, Teacher>& in, const MakeStudent& student,
                    const MakeTeacher& teacher, const Consume& consume, std::span<std::byte> memory) const {
        static_assert(std::floating_point<Real> && sizeof(Real) <= sizeof(double),
                      "distill: logits that are made in chunks are float or double: distill::batch<float>");
        constexpr bool makes_teacher = !std::is_same_v<MakeTeacher, no_producer>;
        detail::call_checker checker;
        checker.demand(in.student.absent(), {"batch.student is given, and a producer that makes it"});
        checker.demand(!makes_teacher || in.teacher.absent(), {"batch.teacher is given, and a producer that makes it"});
        detail::check_chunks(checker, shape, at_once_, memory.size(),
                             [&] { return workspace_bytes<Real>(shape, makes_teacher); });
        if (checker.fine())
            detail::check_output(checker, "the workspace", detail::region_of_memory(memory), false,
                                 detail::untyped_batch(in));
        if (!checker.fine()) {
            report_error(checker.error());
            return {.value = quiet_nan()};
        }
        return detail::run_chunks<Real, makes_teacher, Writes>(
            loss_, shape, in, at_once_, steps_of_caller<MakeStudent, MakeTeacher, Consume>{student, teacher, consume},
            memory);
    }

    Loss loss_;
    rows_at_once at_once_;
};

template <class Loss>
in_chunks(Loss, rows_at_once = {}) -> in_chunks<Loss>;

}  // namespace distill::inline DISTILL_ABI
