/// How far student and teacher are apart, row by row.
#pragma once

#include <distill/call/row_sums.hpp>
#include <distill/check/validate.hpp>
#include <distill/core/error.hpp>
#include <distill/diagnosis/row_diagnosis.hpp>
#include <distill/diagnosis/top_entries.hpp>
#include <distill/divergence/entropy.hpp>
#include <distill/divergence/forward_kl.hpp>
#include <distill/divergence/jensen_shannon.hpp>
#include <distill/divergence/reverse_kl.hpp>
#include <distill/divergence/total_variation.hpp>
#include <distill/loss.hpp>
#include <distill/objective/evaluate.hpp>
#include <distill/row/row_program.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>

namespace distill::inline DISTILL_ABI {

namespace detail {

/// What a backend runs instead of a loss's call, or ahead of every row of one (call/checked_call.hpp).
template <class Student, class Teacher, class Caps>
struct diagnosis_call {
    using student_type = Student;
    using teacher_type = Teacher;
    using gradient_type = void;
    static constexpr bool keeps_derivatives = false;

    const batch<Student, Teacher>& in;
    temperature softmax_temperature;
    [[no_unique_address]] Caps caps;
    std::span<row_diagnosis> rows;

    template <class Team>
    DISTILL_INLINE call::row_sums run(const Team& team, std::ptrdiff_t begin, std::ptrdiff_t end) const {
        for (std::ptrdiff_t row = begin; row < end; ++row) {
            row_diagnosis& found = rows[static_cast<std::size_t>(row)];
            found = {};
            if (own_weight(in.weights, in.labels, row) != 0.0) look_at(team, row, found);
        }
        return {};
    }

private:
    template <class Team>
    DISTILL_INLINE void look_at(const Team& team, std::ptrdiff_t row, row_diagnosis& found) const {
        using real = typename Team::real;
        const double factor = in.temperatures.empty() ? 1.0 : in.temperatures[row];
        const std::array<double, 1> inverse_student{1.0 / (softmax_temperature.student * factor)},
            inverse_teacher{1.0 / (softmax_temperature.teacher * factor)};
        const std::ptrdiff_t vocabulary = in.student.vocabulary;
        const auto z = row::student_row(caps, in.student.row(row));
        const auto w = row::teacher_row(caps, in.teacher.row(row));
        const auto of_student = row::scan_row<true>(team, z, vocabulary, inverse_student);
        const auto of_teacher = row::scan_row<true>(team, w, vocabulary, inverse_teacher);
        found.state = row_state::nonfinite;
        if (!of_student.usable() || !of_teacher.usable()) return;

        const row::softmax p(of_student.maximum, inverse_student[0], of_student.sums[0]);
        const row::softmax q(of_teacher.maximum, inverse_teacher[0], of_teacher.sums[0]);
        const row::row_input<std::remove_const_t<decltype(z)>, std::remove_const_t<decltype(w)>> input{
            .student = z, .teacher = w, .vocabulary = vocabulary, .index = row};
        const auto sums =
            row::whole_row<Team, std::remove_const_t<decltype(z)>, std::remove_const_t<decltype(w)>, true>(team, input, p, q)
                .template sums<6>([](const auto& e) {
                    return std::array{evaluate(forward_kl{}, e).value,     evaluate(reverse_kl{}, e).value,
                                      evaluate(jensen_shannon{}, e).value, evaluate(total_variation{}, e).value,
                                      evaluate(entropy{}, e).value,        -e.q * e.log_q};
                });
        found.state = row_state::diagnosed;
        found.forward_kl = sums[0];
        found.reverse_kl = sums[1];
        found.jensen_shannon = sums[2];
        found.total_variation = sums[3];
        found.student_entropy = sums[4];
        found.teacher_entropy = sums[5];
        found.student_top = of_student.argmax;
        found.teacher_top = of_teacher.argmax;
        found.teacher_top_log_p = p.log_probability(row::single_logit<real>(z, found.teacher_top));
        if (!in.tokens.empty()) {
            found.has_token = true;
            found.token = in.tokens[row];
            found.token_log_p = p.log_probability(row::single_logit<real>(z, found.token));
            found.token_log_q = q.log_probability(row::single_logit<real>(w, found.token));
        }
        count_most_probable(z, w, vocabulary, q, found);
    }

    /// Not inlined: its sums are the same beside a loss as alone.
    template <class StudentRow, class TeacherRow>
    [[gnu::noinline]] static void count_most_probable(const StudentRow& z, const TeacherRow& w, std::ptrdiff_t vocabulary,
                                                      const row::softmax& q, row_diagnosis& found) {
        constexpr auto most = static_cast<std::size_t>(row_diagnosis::mass_sizes.back());
        constexpr auto most_shared = static_cast<std::size_t>(row_diagnosis::overlap_sizes.back());
        std::array<detail::ranked_entry, 2 * most> buffer;
        std::array<detail::ranked_entry, 8 * most_shared> student_buffer;
        const auto teacher = detail::top_entries(row::address_of(w), vocabulary, most, std::span(buffer));
        const auto student = detail::top_entries(row::address_of(z), vocabulary, most_shared, std::span(student_buffer));

        double mass = 0.0;
        std::size_t next = 0;
        for (std::size_t i = 0; i < teacher.size(); ++i) {
            const double logit = row::single_logit<double>(w, teacher[i].index);
            if (logit > masked_logit) mass += std::exp(q.log_probability(logit));
            while (next < row_diagnosis::mass_sizes.size() &&
                   static_cast<std::size_t>(row_diagnosis::mass_sizes[next]) == i + 1)
                found.teacher_mass[next++] = mass;
        }
        for (; next < row_diagnosis::mass_sizes.size(); ++next) found.teacher_mass[next] = mass;

        for (std::size_t n = 0; n < row_diagnosis::overlap_sizes.size(); ++n) {
            const auto k = (std::min)(static_cast<std::size_t>(row_diagnosis::overlap_sizes[n]), teacher.size());
            std::size_t shared = 0;
            for (std::size_t i = 0; i < k; ++i)
                for (std::size_t j = 0; j < k; ++j) shared += teacher[i].index == student[j].index ? 1 : 0;
            found.top_overlap[n] = static_cast<double>(shared) / static_cast<double>(k);
        }
    }
};

/// What is wrong with a batch to be diagnosed; empty where nothing is.
template <class Student, class Teacher>
std::string diagnosis_error(const batch<Student, Teacher>& in, std::span<row_diagnosis> rows, const temperature& t) {
    const term_facts reads{.name = "diagnose",
                           .needs = fields::teacher | (in.tokens.empty() ? fields::none : fields::tokens)};
    const untyped_batch untyped(in);
    call_checker checker;
    check_objective(checker, {}, std::span(&t, 1));
    if (checker.fine()) check_batch(checker, std::span(&reads, 1), t, false, untyped);
    check_row_results(checker, "rows", rows, untyped);
    return checker.error();
}

}  // namespace detail

/// Writes what is known of every row of a batch of student and teacher logits, and of its sampled tokens where it has some:
/// both KLs, Jensen-Shannon, total variation, entropies, most probable tokens, the sampled token's log-probabilities, exact
/// overlap of the most probable tokens and the teacher's mass on them. Each row is read from memory once. Masked rows are
/// not read. diagnosis/summarize.hpp makes means, standard errors and percentiles of it.
///
/// Errors (invalid_input, nothing is written): those of a loss's batch; a length of `rows` that is not the batch's.
/// Source of the choice: the printout of llama.cpp's perplexity program, and the gap measures of arXiv 2605.13230's code.
template <class Backend, class Student, class Teacher>
void diagnose(const batch<Student, Teacher>& in, const Backend& backend, std::span<row_diagnosis> rows, temperature t = {}) {
    if (const std::string error = detail::diagnosis_error(in, rows, t); !error.empty()) return report_error(error);
    static_cast<void>(backend.run(detail::diagnosis_call<Student, Teacher, no_soft_cap>{in, t, {}, rows}));
}

/// The same at the loss's temperature and soft cap, beside the loss and its gradient: a row is read from memory once for all
/// of them.
template <class Objective, class Backend, class Reduction, class Caps, class Student, class Teacher>
loss_result diagnose(const loss<Objective, Backend, Reduction, Caps>& f, const batch<Student, Teacher>& in,
                     std::type_identity_t<gradient<Student>> destination, std::span<row_diagnosis> rows) {
    const temperature t = f.softmax_temperature();
    if (const std::string error = detail::diagnosis_error(in, rows, t); !error.empty()) {
        report_error(error);
        return {.value = quiet_nan()};
    }
    return f.beside(detail::diagnosis_call<Student, Teacher, Caps>{in, t, f.soft_caps(), rows}, in, destination);
}

}  // namespace distill::inline DISTILL_ABI
