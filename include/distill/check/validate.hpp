/// Everything that can be wrong with a call, found before the first write.
#pragma once

#include <distill/check/call_checker.hpp>
#include <distill/check/type_name.hpp>
#include <distill/core/batch.hpp>
#include <distill/core/number.hpp>
#include <distill/core/soft_cap.hpp>
#include <distill/objective/term.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>

namespace distill::inline DISTILL_ABI::detail {

/// What validation knows of a term of an objective.
struct term_facts {
    std::string_view name;
    double weight = 0.0;
    const char* domain_error = nullptr;
    fields needs = fields::none;  ///< in this call: a token term of coefficient 0 needs nothing
};

/// A gate is not named: its term is.
template <class Term>
constexpr std::string_view name_of_term() {
    if constexpr (requires { typename Term::gated_term; })
        return name_of_term<typename Term::gated_term>();
    else
        return type_name<Term>();
}

template <class Term>
constexpr term_facts facts_of(const weighted<Term>& t) {
    term_facts facts{.name = name_of_term<Term>(), .weight = t.weight};
    if constexpr (requires { t.value.domain_error(); }) facts.domain_error = t.value.domain_error();
    if (is_part<Term, vocabulary_part> || t.weight != 0.0)
        facts.needs = needs_of<Term>() | (t.per_row ? fields::coefficients : fields::none);
    return facts;
}

/// The terms of all groups in their order.
template <class... Groups>
constexpr auto facts_of_terms(const objective<Groups...>& o) {
    const auto of_group = [](const auto& group) {
        return std::apply([](const auto&... t) { return std::array<term_facts, sizeof...(t)>{facts_of(t)...}; },
                          group.terms);
    };
    std::array<term_facts, (0 + ... + std::tuple_size_v<decltype(Groups::terms)>)> facts;
    std::size_t count = 0;
    const auto append = [&](const auto& of) {
        for (const term_facts& one : of) facts[count++] = one;
    };
    std::apply([&](const auto&... group) { (append(of_group(group)), ...); }, o.groups);
    return facts;
}

/// The temperatures of groups that have one of their own, with the loss's in front.
template <class... Groups>
constexpr auto temperatures_of(const objective<Groups...>& o, const temperature& of_loss) {
    std::array<temperature, 1 + sizeof...(Groups)> found;
    found.fill(of_loss);
    std::size_t count = 1;
    const auto append = [&]<class Group>(const Group& group) {
        if constexpr (!inherits_temperature<Group>) found[count++] = group.own_temperature;
    };
    std::apply([&](const auto&... group) { (append(group), ...); }, o.groups);
    return found;
}

constexpr fields needed_fields(std::span<const term_facts> terms) {
    fields needed = fields::none;
    for (const term_facts& t : terms) needed = needed | t.needs;
    return needed;
}
template <class... Groups>
constexpr fields needed_fields(const objective<Groups...>& o) {
    return needed_fields(facts_of_terms(o));
}

/// A batch without the types of its logits.
struct untyped_batch {
    untyped_view student, teacher;
    batch<std::byte> given;  ///< the fields beside the logits

    template <class Student, class Teacher>
    explicit untyped_batch(const batch<Student, Teacher>& in) : student(in.student), teacher(in.teacher) {
        for_each_field([](const batch_field&, auto& to, const auto& from) { to = from; }, given, in);
    }
};

/// Parameters of terms, coefficients and temperatures.
inline void check_objective(call_checker& checker, std::span<const term_facts> terms,
                            std::span<const temperature> temperatures) {
    for (const term_facts& t : terms) {
        checker.demand(is_finite(t.weight), {"the coefficient of ", t.name, " is not finite"});
        if (t.domain_error != nullptr) checker.refuse({t.name, ": ", t.domain_error});
    }
    for (const temperature& t : temperatures)
        for (const double value : {t.student, t.teacher})
            checker.demand(is_temperature(value), {"temperature is ", value, ", expected a finite number in [1e-4, 1e4]"});
}

inline void check_soft_cap(call_checker& checker, const soft_cap& caps) {
    for (const double cap : {caps.student, caps.teacher})
        checker.demand(is_finite(cap) && (cap == 0.0 || (cap >= smallest_soft_cap && cap <= largest_soft_cap)),
                       {"soft_cap is ", cap, ", expected a number in [1e-3, 1e6], or 0 for none"});
}

/// Every field that a term or the reduction needs is there.
inline void check_needs(call_checker& checker, std::span<const term_facts> terms, bool needs_sequences,
                        const untyped_batch& in) {
    if (in.student.rows == 0) return;
    const bool teacher = !in.teacher.absent();
    for (const term_facts& t : terms) {
        checker.needed(t.name, "batch.teacher", teacher || !contains(t.needs, fields::teacher));
        for_each_field(
            [&](const batch_field& field, const auto& array) {
                if (!contains(t.needs, field.reads) || !array.empty() || (field.teacher_logits_do_too && teacher)) return;
                checker.refuse({t.name, " needs ", field.name, field.teacher_logits_do_too ? " or batch.teacher" : "",
                                ", which is empty"});
            },
            in.given);
    }
    checker.needed("the reduction", "batch.sequence_offsets", !needs_sequences || !in.given.sequence_offsets.empty());
}

inline void check_top_token_arrays(call_checker& checker, const row_indices& ids, const row_values& log_probs,
                                   std::ptrdiff_t rows) {
    if (ids.empty() && log_probs.empty()) return;
    checker.demand(!ids.dangling() && !log_probs.dangling(), {"batch.top_tokens or batch.top_log_probs is a null pointer"});
    checker.alignment("batch.top_tokens", ids);
    checker.alignment("batch.top_log_probs", log_probs);
    checker.demand(ids.size() == log_probs.size(),
                   {"batch.top_log_probs has ", log_probs.size(), " elements, batch.top_tokens has ", ids.size()});
    checker.demand(rows > 0 && ids.size() > 0 && ids.size() % rows == 0 && ids.size() / rows <= largest_token_set,
                   {"batch.top_tokens has ", ids.size(), " elements, expected 1 to ", largest_token_set, " for each of the ",
                    rows, " rows of batch.student"});
}

inline void check_offsets(call_checker& checker, const row_indices& offsets, std::ptrdiff_t rows) {
    constexpr std::string_view name = "batch.sequence_offsets";
    if (offsets.empty() || !checker.demand(!offsets.dangling(), {name, " has a null pointer"})) return;
    if (!checker.demand(offsets.size() >= 1, {name, " has ", offsets.size(), " elements, expected at least 1"})) return;
    checker.alignment(name, offsets);
    if (!checker.fine() || !checker.demand(offsets[0] == 0, {name, " starts at ", offsets[0], ", expected 0"})) return;
    const std::ptrdiff_t last = offsets.size() - 1;
    for (std::ptrdiff_t s = 0; s < last; ++s)
        if (offsets[s] > offsets[s + 1])
            return checker.refuse({name, " decreases from ", offsets[s], " to ", offsets[s + 1], " at sequence ", s});
    checker.demand(offsets[last] == rows, {name, " ends at ", offsets[last], ", batch.student has ", rows, " rows"});
}

inline void check_weights(call_checker& checker, const row_values& weights) {
    double sum = 0.0;
    for (std::ptrdiff_t row = 0; row < weights.size(); ++row) {
        if (!(is_finite(weights[row]) && weights[row] >= 0.0))
            return checker.refuse(
                {"batch.weights[", row, "] is ", weights[row], ", expected a finite number of at least 0"});
        sum += weights[row];
    }
    checker.demand(is_finite(sum), {"batch.weights add up to more than a double holds"});
}

/// The rows that a call works on.
struct active_rows {
    row_values weights;
    row_indices labels;

    bool operator()(std::ptrdiff_t row) const { return own_weight(weights, labels, row) != 0.0; }
};

inline void check_token_ids(call_checker& checker, std::string_view name, const row_indices& ids, std::ptrdiff_t vocabulary,
                            const active_rows& active) {
    for (std::ptrdiff_t row = 0; row < ids.size(); ++row)
        if (active(row) && !(ids[row] >= 0 && ids[row] < vocabulary))
            return checker.refuse({name, "[", row, "] is ", ids[row], ", expected a token id in [0, ", vocabulary, ")"});
}

/// The teacher's most probable tokens: k per row, different, with log-probabilities of at most 1 together.
inline void check_top_tokens(call_checker& checker, const untyped_batch& in, const active_rows& active) {
    const std::ptrdiff_t rows = in.student.rows, k = rows == 0 ? 0 : in.given.top_tokens.size() / rows;
    const row_indices& ids = in.given.top_tokens;
    for (std::ptrdiff_t row = 0; row < rows; ++row) {
        if (!active(row)) continue;
        double mass = 0.0;
        for (std::ptrdiff_t i = row * k; i < (row + 1) * k; ++i) {
            if (ids[i] == ignored_label) continue;
            if (!(ids[i] >= 0 && ids[i] < in.student.vocabulary))
                return checker.refuse({"batch.top_tokens of row ", row, " hold ", ids[i], ", expected token ids in [0, ",
                                       in.student.vocabulary, "), or -100"});
            for (std::ptrdiff_t j = row * k; j < i; ++j)
                if (ids[i] == ids[j]) return checker.refuse({"batch.top_tokens of row ", row, " hold ", ids[i], " twice"});
            // One that is not finite is the row's own matter.
            if (is_finite(in.given.top_log_probs[i])) mass += std::exp(in.given.top_log_probs[i]);
        }
        if (!(mass <= 1.0 + 1e-2))
            return checker.refuse(
                {"batch.top_log_probs of row ", row, " give a probability of ", mass, ", expected at most 1"});
    }
}

/// The active rows' temperatures, each times the loss's.
inline void check_row_temperatures(call_checker& checker, const row_values& temperatures, const temperature& t,
                                   const active_rows& active) {
    for (std::ptrdiff_t row = 0; row < temperatures.size(); ++row)
        for (const double of_loss : {t.student, t.teacher})
            if (active(row) && !is_temperature(temperatures[row] * of_loss))
                return checker.refuse({"batch.temperatures[", row, "] is ", temperatures[row],
                                       ", expected a number that, times the loss's temperature ", of_loss,
                                       ", lies in [1e-4, 1e4]"});
}

/// Shapes and fields of a batch, and, where `reads_arrays`, token ids, weights, temperatures and offsets: arrays in the
/// memory of a device are not read.
inline void check_batch(call_checker& checker, std::span<const term_facts> terms, const temperature& t, bool needs_sequences,
                        const untyped_batch& in, bool reads_arrays = true) {
    const std::ptrdiff_t rows = in.student.rows, vocabulary = in.student.vocabulary;
    checker.view("batch.student", in.student);
    if (!in.teacher.absent()) checker.same_shape("batch.teacher", in.teacher, in.student);
    check_needs(checker, terms, needs_sequences, in);
    for_each_field(
        [&](const batch_field& field, const auto& array) {
            if (field.length == field_length::rows && !array.empty()) checker.one_per_row(field.name, array, rows);
        },
        in.given);
    if (!checker.fine()) return;
    check_top_token_arrays(checker, in.given.top_tokens, in.given.top_log_probs, rows);
    if (!reads_arrays) return;
    check_offsets(checker, in.given.sequence_offsets, rows);
    check_weights(checker, in.given.weights);
    if (!checker.fine()) return;

    const fields needed = needed_fields(terms);
    const active_rows active{in.given.weights, in.given.labels};
    if (contains(needed, fields::tokens)) check_token_ids(checker, "batch.tokens", in.given.tokens, vocabulary, active);
    if (contains(needed, fields::teacher_label))
        check_token_ids(checker, "batch.teacher_tokens", in.given.teacher_tokens, vocabulary, active);
    check_token_ids(checker, "batch.labels", in.given.labels, vocabulary, active);
    if (contains(needed, fields::teacher_top_tokens)) check_top_tokens(checker, in, active);
    check_row_temperatures(checker, in.given.temperatures, t, active);
}

/// An output against every input of the batch. `student_allowed`: the output may be the student's own buffer.
inline void check_output(call_checker& checker, std::string_view name, const region& output, bool student_allowed,
                         const untyped_batch& in) {
    if (!student_allowed) checker.no_overlap(name, output, "batch.student", region_of(in.student));
    checker.no_overlap(name, output, "batch.teacher", region_of(in.teacher));
    for_each_field(
        [&](const batch_field& field, const auto& array) { checker.no_overlap(name, output, field.name, region_of(array)); },
        in.given);
}

/// The gradient's shape and place. `students_type`: its elements are of the student's type.
inline void check_gradient(call_checker& checker, const untyped_view& destination, bool zeroes_padding, bool students_type,
                           const untyped_batch& in) {
    checker.same_shape("gradient", destination, in.student);
    if (!checker.fine()) return;
    const bool in_place =
        students_type && destination.data == in.student.data && destination.row_stride == in.student.row_stride;
    check_output(checker, "gradient", region_of(destination, zeroes_padding), in_place, in);
}

/// What is wrong with a device call's workspace; empty where nothing is.
inline std::string workspace_error(const void* data, std::size_t bytes, std::size_t needed) {
    if (bytes < needed) return sentence({"the workspace has ", bytes, " bytes, this call needs ", needed});
    if (data == nullptr) return "the workspace is a null pointer";
    return reinterpret_cast<std::uintptr_t>(data) % 8 != 0 ? "the workspace's address is no multiple of 8" : "";
}

/// An array of one result per row.
inline void check_row_results(call_checker& checker, std::string_view name, const untyped_array& results,
                              const untyped_batch& in) {
    checker.demand(results.size == in.student.rows,
                   {name, " has ", results.size, " elements, batch.student has ", in.student.rows, " rows"});
    checker.demand(!results.dangling(), {name, " is a null pointer"});
}

}  // namespace distill::inline DISTILL_ABI::detail
