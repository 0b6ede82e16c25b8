/// Everything that can be wrong with a call, found before the first write.
#pragma once

#include <distill/core/batch.hpp>
#include <distill/core/gradient.hpp>
#include <distill/core/number.hpp>
#include <distill/core/reduction.hpp>
#include <distill/core/term.hpp>
#include <distill/core/type_name.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace distill::detail {

/// The widest vocabulary: every index is exact in float.
inline constexpr std::ptrdiff_t largest_vocabulary = std::ptrdiff_t{1} << 24;

/// A region of memory, for overlap checks: `rows` runs of `row_bytes`, `stride_bytes` apart.
struct region {
    std::uintptr_t address = 0;
    std::size_t rows = 0;
    std::size_t row_bytes = 0;
    std::size_t stride_bytes = 0;

    [[nodiscard]] std::uintptr_t end() const { return address + (rows - 1) * stride_bytes + row_bytes; }
    [[nodiscard]] bool empty() const { return rows == 0 || row_bytes == 0; }
};

template <class Element>
region region_of(const logits_view<Element>& view, bool with_padding = false) {
    const auto columns = static_cast<std::size_t>(with_padding ? view.row_stride : view.vocabulary);
    return {reinterpret_cast<std::uintptr_t>(view.data), static_cast<std::size_t>(view.rows), columns * sizeof(Element),
            static_cast<std::size_t>(view.row_stride) * sizeof(Element)};
}

template <class Narrow, class Wide>
region region_of(const row_array<Narrow, Wide>& array) {
    return {reinterpret_cast<std::uintptr_t>(array.address()), array.empty() ? std::size_t{0} : std::size_t{1},
            array.bytes(), array.bytes()};
}

/// True where the two share a byte. Regions of equal stride may interleave: columns of one wider matrix.
inline bool overlap(const region& a, const region& b) {
    if (a.empty() || b.empty() || a.end() <= b.address || b.end() <= a.address) return false;
    if (a.stride_bytes != b.stride_bytes || a.stride_bytes == 0) return true;
    const std::size_t stride = a.stride_bytes;
    const std::size_t offset =
        a.address <= b.address ? (b.address - a.address) % stride : (stride - (a.address - b.address) % stride) % stride;
    return !(offset >= a.row_bytes && offset + b.row_bytes <= stride);
}

/// Collects the first error of a call. Empty text: no error.
class call_checker {
public:
    [[nodiscard]] const std::string& error() const { return error_; }

    /// Records `message()` if the condition fails and nothing failed before.
    template <class Message>
    bool require(bool condition, const Message& message) {
        if (!condition && error_.empty()) error_ = message();
        return error_.empty();
    }

    void domain(std::string_view name, const char* sentence) {
        require(sentence == nullptr, [&] { return std::string(name) + ": " + sentence; });
    }

    void temperature_in_domain(const temperature& t) {
        for (const double value : {t.student, t.teacher})
            require(in_domain(value),
                    [&] { return "temperature is " + std::to_string(value) + ", expected a finite number in [1e-4, 1e4]"; });
    }

    /// The active rows' temperatures, each times the loss's.
    template <class Active>
    void row_temperatures(const row_values& temperatures, const temperature& t, const Active& active) {
        for (std::ptrdiff_t row = 0; row < temperatures.size() && error_.empty(); ++row)
            for (const double of_loss : {t.student, t.teacher})
                require(!active(row) || in_domain(temperatures[row] * of_loss), [&] {
                    return "batch.temperatures[" + std::to_string(row) + "] is " + std::to_string(temperatures[row]) +
                           ", expected a number that, times the loss's temperature " + std::to_string(of_loss) +
                           ", lies in [1e-4, 1e4]";
                });
    }

    template <class Element>
    void view(std::string_view name, const logits_view<Element>& v) {
        const auto text = [&](const std::string& rest) { return std::string(name) + rest; };
        if (!require(v.rows >= 0, [&] { return text(" has " + std::to_string(v.rows) + " rows"); })) return;
        if (v.absent()) return;
        require(v.vocabulary >= 1 && v.vocabulary <= largest_vocabulary, [&] {
            return text(" has a vocabulary of " + std::to_string(v.vocabulary) + ", expected 1 to " +
                        std::to_string(largest_vocabulary));
        });
        require(v.row_stride >= v.vocabulary, [&] {
            return text(" has a row stride of " + std::to_string(v.row_stride) + ", expected at least its vocabulary " +
                        std::to_string(v.vocabulary));
        });
        if (!error_.empty() || v.rows == 0) return;
        constexpr auto most = std::numeric_limits<std::ptrdiff_t>::max() / static_cast<std::ptrdiff_t>(sizeof(Element));
        require(v.rows <= most / v.row_stride, [&] {
            return text(" has " + std::to_string(v.rows) + " rows of stride " + std::to_string(v.row_stride) +
                        ", more than memory can hold");
        });
        require(v.data != nullptr, [&] { return text(" has " + std::to_string(v.rows) + " rows and a null pointer"); });
        require(reinterpret_cast<std::uintptr_t>(v.data) % alignof(Element) == 0,
                [&] { return text(" is not aligned to its element type"); });
    }

    template <class Element>
    void same_shape(std::string_view name, const logits_view<Element>& v, std::ptrdiff_t rows, std::ptrdiff_t vocabulary) {
        view(name, v);
        require(v.rows == rows, [&] {
            return std::string(name) + " has " + std::to_string(v.rows) + " rows, batch.student has " + std::to_string(rows);
        });
        require(v.vocabulary == vocabulary, [&] {
            return std::string(name) + " has a vocabulary of " + std::to_string(v.vocabulary) + ", batch.student has " +
                   std::to_string(vocabulary);
        });
    }

    /// Numbers are aligned to their size.
    template <class Array>
    void alignment(std::string_view name, const Array& array) {
        require(reinterpret_cast<std::uintptr_t>(array.address()) % array.element_bytes() == 0,
                [&] { return std::string(name) + " is not aligned to its element type"; });
    }

    template <class Array>
    void one_per_row(std::string_view name, const Array& array, std::ptrdiff_t rows) {
        if (array.empty()) return;
        require(!array.dangling(),
                [&] { return std::string(name) + " has " + std::to_string(array.size()) + " elements and a null pointer"; });
        alignment(name, array);
        require(array.size() == rows, [&] {
            return std::string(name) + " has " + std::to_string(array.size()) + " elements, batch.student has " +
                   std::to_string(rows) + " rows";
        });
    }

    /// `reader` needs `field`.
    void needed(std::string_view reader, std::string_view field, bool present) {
        require(present, [&] { return std::string(reader) + " needs " + std::string(field) + ", which is empty"; });
    }

    /// The teacher's most probable tokens: k per row, different, with log-probabilities of at most 1 together.
    template <class Active>
    void top_tokens(const row_indices& ids, const row_values& log_probs, std::ptrdiff_t rows, std::ptrdiff_t vocabulary,
                    const Active& active) {
        const std::ptrdiff_t k = rows == 0 ? 0 : ids.size() / rows;
        const auto of_row = [](const char* name, std::ptrdiff_t row) {
            return std::string(name) + " of row " + std::to_string(row);
        };
        for (std::ptrdiff_t row = 0; row < rows && error_.empty(); ++row) {
            if (!active(row)) continue;
            double mass = 0.0;
            for (std::ptrdiff_t i = row * k; i < (row + 1) * k && error_.empty(); ++i) {
                if (ids[i] == ignored_label) continue;
                require(ids[i] >= 0 && ids[i] < vocabulary, [&] {
                    return of_row("batch.top_tokens", row) + " hold " + std::to_string(ids[i]) +
                           ", expected token ids in [0, " + std::to_string(vocabulary) + "), or -100";
                });
                for (std::ptrdiff_t j = row * k; j < i; ++j)
                    require(ids[i] != ids[j],
                            [&] { return of_row("batch.top_tokens", row) + " hold " + std::to_string(ids[i]) + " twice"; });
                // One that is not finite is the row's own matter.
                if (is_finite(log_probs[i])) mass += std::exp(log_probs[i]);
            }
            require(mass <= 1.0 + 1e-2, [&] {
                return of_row("batch.top_log_probs", row) + " give a probability of " + std::to_string(mass) +
                       ", expected at most 1";
            });
        }
    }

    void offsets(const row_indices& offsets, std::ptrdiff_t rows) {
        if (offsets.empty()) return;
        const auto say = [](const std::string& rest) { return "batch.sequence_offsets " + rest; };
        if (!require(!offsets.dangling(), [&] { return say("has a null pointer"); })) return;
        alignment("batch.sequence_offsets", offsets);
        if (!error_.empty()) return;
        require(offsets[0] == 0, [&] { return say("starts at " + std::to_string(offsets[0]) + ", expected 0"); });
        for (std::ptrdiff_t s = 0; s + 1 < offsets.size() && error_.empty(); ++s)
            require(offsets[s] <= offsets[s + 1], [&] {
                return say("decreases from " + std::to_string(offsets[s]) + " to " + std::to_string(offsets[s + 1]) +
                           " at sequence " + std::to_string(s));
            });
        require(offsets[offsets.size() - 1] == rows, [&] {
            return say("ends at " + std::to_string(offsets[offsets.size() - 1]) + ", batch.student has " +
                       std::to_string(rows) + " rows");
        });
    }

    void weights(const row_values& weights) {
        for (std::ptrdiff_t row = 0; row < weights.size() && error_.empty(); ++row)
            require(is_finite(weights[row]) && weights[row] >= 0.0, [&] {
                return "batch.weights[" + std::to_string(row) + "] is " + std::to_string(weights[row]) +
                       ", expected a finite number of at least 0";
            });
        double sum = 0.0;
        for (std::ptrdiff_t row = 0; row < weights.size(); ++row) sum += weights[row];
        require(is_finite(sum), [] { return std::string("batch.weights add up to more than a double holds"); });
    }

    /// Token ids of the rows for which `active(row)` holds.
    template <class Active>
    void token_ids(std::string_view name, const row_indices& ids, std::ptrdiff_t vocabulary, const Active& active) {
        for (std::ptrdiff_t row = 0; row < ids.size() && error_.empty(); ++row)
            require(!active(row) || (ids[row] >= 0 && ids[row] < vocabulary), [&] {
                return std::string(name) + "[" + std::to_string(row) + "] is " + std::to_string(ids[row]) +
                       ", expected a token id in [0, " + std::to_string(vocabulary) + ")";
            });
    }

    void no_overlap(std::string_view output, const region& out, std::string_view input, const region& in) {
        require(!overlap(out, in), [&] { return std::string(output) + " overlaps " + std::string(input); });
    }

private:
    static constexpr bool in_domain(double temperature) {
        return is_finite(temperature) && temperature >= smallest_temperature && temperature <= largest_temperature;
    }

    std::string error_;
};

/// Calls visit(name, array) for every array of the batch that has one number per row.
template <class Batch, class Visitor>
constexpr void for_each_row_array(const Batch& in, const Visitor& visit) {
    visit("batch.weights", in.weights);
    visit("batch.tokens", in.tokens);
    visit("batch.teacher_tokens", in.teacher_tokens);
    visit("batch.labels", in.labels);
    visit("batch.old_log_probs", in.old_log_probs);
    visit("batch.teacher_log_probs", in.teacher_log_probs);
    visit("batch.advantages", in.advantages);
    visit("batch.temperatures", in.temperatures);
    visit("batch.coefficients", in.coefficients);
    visit("batch.sequence_log_ratios", in.sequence_log_ratios);
}

/// The fields that an objective asks for in this call: a token term of coefficient 0 asks for nothing.
template <class... Groups, class Visitor>
constexpr void for_each_needed(const objective<Groups...>& o, const Visitor& visit) {
    const auto of_term = [&]<class Term>(const weighted<Term>& t) {
        if (is_part<Term, vocabulary_part> || t.weight != 0.0)
            visit(type_name<Term>(), needs_of<Term>() | (t.per_row ? fields::coefficients : fields::none));
    };
    std::apply([&](const auto&... group) { (std::apply([&](const auto&... t) { (of_term(t), ...); }, group.terms), ...); },
               o.groups);
}

template <class... Groups>
constexpr fields needed_fields(const objective<Groups...>& o) {
    fields needed = fields::none;
    for_each_needed(o, [&](std::string_view, fields f) { needed = needed | f; });
    return needed;
}

/// Parameters of terms, coefficients and temperatures.
template <class... Groups>
void check_objective(call_checker& check, const objective<Groups...>& o) {
    const auto of_term = [&]<class Term>(const weighted<Term>& t) {
        check.require(is_finite(t.weight),
                      [&] { return "the coefficient of " + std::string(type_name<Term>()) + " is not finite"; });
        if constexpr (requires { t.value.domain_error(); }) check.domain(type_name<Term>(), t.value.domain_error());
    };
    const auto of_group = [&]<class Group>(const Group& group) {
        std::apply([&](const auto&... t) { (of_term(t), ...); }, group.terms);
        if constexpr (!inherits_temperature<Group>) check.temperature_in_domain(group.own_temperature);
    };
    std::apply([&](const auto&... group) { (of_group(group), ...); }, o.groups);
}

/// Shapes, fields, token ids and offsets of a batch.
template <class Objective, class Student, class Teacher>
void check_batch(call_checker& check, const Objective& o, const temperature& t, bool needs_sequences,
                 const batch<Student, Teacher>& in) {
    const std::ptrdiff_t rows = in.student.rows, vocabulary = in.student.vocabulary;
    check.view("batch.student", in.student);
    if (!in.teacher.absent()) check.same_shape("batch.teacher", in.teacher, rows, vocabulary);

    const bool no_rows = rows == 0;
    for_each_needed(o, [&](std::string_view term, fields needs) {
        const auto asks = [&](fields field) { return contains(needs, field); };
        if (asks(fields::teacher)) check.needed(term, "batch.teacher", no_rows || !in.teacher.absent());
        if (asks(fields::teacher_label))
            check.needed(term, "batch.teacher_tokens or batch.teacher",
                         no_rows || !in.teacher_tokens.empty() || !in.teacher.absent());
        if (asks(fields::tokens)) check.needed(term, "batch.tokens", no_rows || !in.tokens.empty());
        if (asks(fields::labels)) check.needed(term, "batch.labels", no_rows || !in.labels.empty());
        if (asks(fields::old_log_probs)) check.needed(term, "batch.old_log_probs", no_rows || !in.old_log_probs.empty());
        if (asks(fields::teacher_log_prob))
            check.needed(term, "batch.teacher_log_probs or batch.teacher",
                         no_rows || !in.teacher_log_probs.empty() || !in.teacher.absent());
        if (asks(fields::advantages)) check.needed(term, "batch.advantages", no_rows || !in.advantages.empty());
        if (asks(fields::coefficients)) check.needed(term, "batch.coefficients", no_rows || !in.coefficients.empty());
        if (asks(fields::teacher_top_tokens)) {
            check.needed(term, "batch.top_tokens", no_rows || !in.top_tokens.empty());
            check.needed(term, "batch.top_log_probs", no_rows || !in.top_log_probs.empty());
        }
        if (asks(fields::sequence_log_ratios))
            check.needed(term, "batch.sequence_log_ratios", no_rows || !in.sequence_log_ratios.empty());
    });
    if (needs_sequences) check.needed("the reduction", "batch.sequence_offsets", no_rows || !in.sequence_offsets.empty());

    for_each_row_array(in, [&](std::string_view name, const auto& array) { check.one_per_row(name, array, rows); });
    if (!check.error().empty()) return;

    if (!in.top_tokens.empty() || !in.top_log_probs.empty()) {
        check.require(!in.top_tokens.dangling() && !in.top_log_probs.dangling(),
                      [] { return std::string("batch.top_tokens or batch.top_log_probs is a null pointer"); });
        check.alignment("batch.top_tokens", in.top_tokens);
        check.alignment("batch.top_log_probs", in.top_log_probs);
        check.require(in.top_tokens.size() == in.top_log_probs.size(), [&] {
            return "batch.top_log_probs has " + std::to_string(in.top_log_probs.size()) +
                   " elements, batch.top_tokens has " + std::to_string(in.top_tokens.size());
        });
        check.require(rows > 0 && in.top_tokens.size() % rows == 0 && in.top_tokens.size() / rows <= largest_token_set, [&] {
            return "batch.top_tokens has " + std::to_string(in.top_tokens.size()) + " elements, expected 1 to " +
                   std::to_string(largest_token_set) + " for each of the " + std::to_string(rows) + " rows of batch.student";
        });
    }
    check.offsets(in.sequence_offsets, rows);
    check.weights(in.weights);
    if (!check.error().empty()) return;

    const fields needed = needed_fields(o);
    const bool reads_labels = contains(needed, fields::labels);
    const auto active = [&](std::ptrdiff_t row) {
        return (in.weights.empty() || in.weights[row] != 0.0) && !(reads_labels && in.labels[row] == ignored_label);
    };
    if (contains(needed, fields::tokens)) check.token_ids("batch.tokens", in.tokens, vocabulary, active);
    if (contains(needed, fields::teacher_label))
        check.token_ids("batch.teacher_tokens", in.teacher_tokens, vocabulary, active);
    if (reads_labels) check.token_ids("batch.labels", in.labels, vocabulary, active);
    if (contains(needed, fields::teacher_top_tokens))
        check.top_tokens(in.top_tokens, in.top_log_probs, rows, vocabulary, active);
    check.row_temperatures(in.temperatures, t, active);
}

/// An output against every input of the batch. `student_allowed`: the output may be the student's own buffer.
template <class Student, class Teacher>
void check_output(call_checker& check, std::string_view name, const region& output, bool student_allowed,
                  const batch<Student, Teacher>& in) {
    if (!student_allowed) check.no_overlap(name, output, "batch.student", region_of(in.student));
    check.no_overlap(name, output, "batch.teacher", region_of(in.teacher));
    for_each_row_array(
        in, [&](std::string_view input, const auto& array) { check.no_overlap(name, output, input, region_of(array)); });
    check.no_overlap(name, output, "batch.top_tokens", region_of(in.top_tokens));
    check.no_overlap(name, output, "batch.top_log_probs", region_of(in.top_log_probs));
    check.no_overlap(name, output, "batch.sequence_offsets", region_of(in.sequence_offsets));
}

/// The gradient's shape and place.
template <class Element, class Student, class Teacher>
void check_gradient(call_checker& check, const gradient<Element>& destination, const batch<Student, Teacher>& in) {
    check.same_shape("gradient", destination.view, in.student.rows, in.student.vocabulary);
    if (!check.error().empty()) return;
    const bool in_place = static_cast<const void*>(destination.view.data) == static_cast<const void*>(in.student.data) &&
                          destination.view.row_stride == in.student.row_stride && std::is_same_v<Element, Student>;
    check_output(check, "gradient", region_of(destination.view, destination.zeroes_padding), in_place, in);
}

}  // namespace distill::detail
