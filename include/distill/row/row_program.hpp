/// The row program: one row's loss and gradient, in at most three sweeps, for every objective and every backend.
///
///     1. scan      maximum and normalisers of z and w (and the teacher's argmax, or H where it is a multiple of KL(p || q))
///     2. sum       the value and H = sum_v h_v
///     3. write     dz = weight / T * (h - p H)
///
/// with h_v = d(row loss) / d(log p_v). Sweep 2 keeps h in the team's scratch, where it has one, for sweep 3. Sweep 2 is
/// left out where H is known beforehand; the value is then summed in sweep 3.
///
/// It is generic over a team, the lanes that share a row (row/team.hpp).
#pragma once

#include <distill/core/scalar.hpp>
#include <distill/row/element.hpp>
#include <distill/row/gradient_sweep.hpp>
#include <distill/row/objective_traits.hpp>
#include <distill/row/pair_scan.hpp>
#include <distill/row/part_scan.hpp>
#include <distill/row/range.hpp>
#include <distill/row/records.hpp>
#include <distill/row/row_constant.hpp>
#include <distill/row/softmax.hpp>
#include <distill/row/team.hpp>
#include <distill/row/token_corrections.hpp>
#include <distill/row/token_terms.hpp>
#include <distill/row/whole_row.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace distill::inline DISTILL_ABI::row {

/// One row of one objective, or a part of its vocabulary. Parts run phase by phase: scan, and set_scan with what all parts'
/// scans found together; sum, where wants_sums; write. A whole row is a part: the call runs what follows set_scan.
template <team Team, class Objective, class StudentRow, class TeacherRow, class Gradient>
class row_program {
    using number = typename Team::number;
    using real = typename Team::real;
    using traits = row::objective_traits<Objective>;
    static constexpr std::size_t groups = traits::groups;
    static constexpr bool writes = !std::is_same_v<Gradient, no_gradient>;
    /// Of a row. Its inverse is the smallest that the largest of a row may be.
    static constexpr double largest_coefficient = 0x1p32;

    static constexpr bool has_scratch = requires(const Team& team) {
        { team.scratch() } -> std::same_as<real*>;
    };
    /// Sweep 1 reads both rows together, which uses more of the memory's bandwidth than one after the other.
    static constexpr bool scans_pair = has_scratch && traits::reads_rows_together;
    /// Sweep 1 finds H.
    static constexpr bool finds_dlogp_sum = writes && has_scratch && traits::dlogp_sum_is_reverse_kl;
    /// H has to be summed before sweep 3.
    static constexpr bool sweeps_for_dlogp_sum = traits::needs_dlogp_sum && !finds_dlogp_sum;
    /// Phase 2 is a sweep over the terms, for every row.
    static constexpr bool always_sums = traits::has_vocabulary_terms && (sweeps_for_dlogp_sum || !writes);
    /// Sweep 3 reads h instead of making entries again.
    static constexpr bool keeps_derivatives = sweeps_for_dlogp_sum && has_scratch;
    /// log p - log q near a large KL(p || q) has few of float's digits left for what the gradient is made of, its distance
    /// from that KL: at this one about 1e-5.
    static constexpr double largest_kl_in_float = 128.0;

public:
    /// A row may need double.
    static constexpr bool may_exceed_float = finds_dlogp_sum && sizeof(real) <= sizeof(float);
    /// A row may come in parts: no term reads a set of its tokens, or the row as a whole.
    static constexpr bool may_come_in_parts = traits::token_set_terms == 0 && !traits::has_row_dependent_terms;

    DISTILL_INLINE constexpr row_program(const Team& team, const Objective& o,
                                         const std::array<temperature, groups>& temperatures,
                                         const row_input<StudentRow, TeacherRow>& in)
        : team_(team), objective_(o), in_(in) {
        constexpr std::array<bool, groups> inherits_temperature = traits::inherits_temperature();
        for (std::size_t g = 0; g < groups; ++g) {
            const double of_row = inherits_temperature[g] ? in.temperature : 1.0;
            inverse_student_[g] = 1.0 / (temperatures[g].student * of_row);
            inverse_teacher_[g] = 1.0 / (temperatures[g].teacher * of_row);
        }
        for_each_term(objective_, [&](auto, auto& t) DISTILL_INLINE_LAMBDA {
            if (t.per_row) t.weight *= in.coefficient;
        });
        take_out_unit();
        set_factors(std::make_index_sequence<groups>{});
        usable_ = has_usable_numbers(team, objective_, in_);
    }

    // -------------------------------------------------------------------------------------------------------------- scan

    /// Phase 1, of the part that the input is.
    [[nodiscard]] DISTILL_INLINE constexpr scan_record<traits> scan() const { return scanner()(); }
    /// Two parts' records together; `a` holds the lower ids.
    [[nodiscard]] constexpr scan_record<traits> merge(const scan_record<traits>& a, const scan_record<traits>& b) const {
        return scanner().merge(a, b);
    }

    /// What the scan of the whole row found: needed before what follows.
    DISTILL_INLINE constexpr void set_scan(const scan_record<traits>& whole) {
        token_logits_ = whole.token_logits;
        teacher_logit_ = whole.teacher_logit;
        usable_ = usable_ && whole.student.usable();
        for (std::size_t g = 0; g < groups; ++g)
            student_[g] = softmax(whole.student.maximum, inverse_student_[g], whole.student.sums[g]);
        teacher_token_ = in_.teacher_token;
        if (scanner().scans_teacher()) usable_ = usable_ && whole.teacher.usable();
        if (scanner().wants_argmax()) teacher_token_ = static_cast<std::int64_t>(whole.teacher.argmax);
        if (scanner().wants_teacher_softmax())
            for (std::size_t g = 0; g < groups; ++g)
                teacher_[g] = softmax(whole.teacher.maximum, inverse_teacher_[g], whole.teacher.sums[g]);
        if constexpr (finds_dlogp_sum) {
            const pair_statistics pair{whole.student, whole.teacher, whole.weighted_gap, whole.largest_gap};
            reverse_kl_ = pair.reverse_kl();
            clamps_matter_ = usable_ && pair.template clamps_matter<real>();
        }
        if constexpr (traits::has_row_dependent_terms)
            if (usable_) fit_terms_to_row();
    }

    /// The row's gradient needs more digits than `real` has.
    [[nodiscard]] constexpr bool exceeds_float() const { return usable_ && reverse_kl_ > largest_kl_in_float; }

    // --------------------------------------------------------------------------------------------------------------- sum

    /// Phase 2 finds something that phase 3 needs.
    [[nodiscard]] constexpr bool wants_sums() const { return usable_ && (always_sums || clamps_matter_); }

    /// Phase 2, of the part that the input is. The parts' records merge by addition.
    [[nodiscard]] DISTILL_INLINE constexpr sum_record<traits> sum() const {
        sum_record<traits> found;
        if constexpr (always_sums) {
            constexpr bool keep = writes && keeps_derivatives;
            const auto makers = entry_makers<number, real>();
            const auto slopes = broadcast([&](std::size_t g) { return factors_[g] * student_[g].inverse_temperature; });
            const auto factors = broadcast([&](std::size_t g) { return factors_[g]; });
            const auto sums = sum_over<1 + groups>(team_, in_.vocabulary, [&](const auto& at) DISTILL_INLINE_LAMBDA {
                return summands<keep>(makers, factors, slopes, at);
            });
            found.value = sums[0] * factor_of_values();
            for (std::size_t g = 0; g < groups; ++g)
                if constexpr (traits::needs_dlogp_sum) found.dlogp_sum[g] = sums[1 + g] * factors_[g];
        } else if constexpr (finds_dlogp_sum) {
            found.dlogp_sum[0] = sum_reverse_kl(team_, in_.student, in_.teacher, in_.vocabulary, student_[0], teacher_[0]);
        }
        return found;
    }

    // ------------------------------------------------------------------------------------------------------------- write

    /// Phase 3, of the part that the input is: its entries of the gradient, and the row's outcome but for the values that
    /// this phase sums, `value`, which the parts add.
    [[nodiscard]] DISTILL_INLINE constexpr row_outcome write(const Gradient& wanted, const sum_record<traits>& whole,
                                                             double& value) const {
        value = 0.0;
        if (!usable_) return {.finite = false};
        const typename Team::template common<single_entries<traits>> tokens(team_);
        token_outcome<traits> of_tokens;
        if constexpr (traits::single_entries + traits::normalizer_terms > 0)
            of_tokens = token_terms<Team, Objective, StudentRow, TeacherRow>{
                team_, objective_, in_, student_, teacher_, teacher_token_, token_logits_, teacher_logit_}(tokens.value);
        row_outcome& outcome = of_tokens.row;
        outcome.loss += whole.value;
        if constexpr (writes) {
            std::array<double, groups> dlogp_sum = whole.dlogp_sum;
            if constexpr (finds_dlogp_sum)
                dlogp_sum[0] = (clamps_matter_ ? whole.dlogp_sum[0] : reverse_kl_) * weight_of_reverse_kl(objective_);
            for (std::size_t g = 0; g < groups; ++g) dlogp_sum[g] += of_tokens.dlogp_sum[g];
            if (!all_finite(outcome.loss, dlogp_sum)) return {.finite = false};
            const Gradient gradient{wanted.data, weight_in_range(wanted.weight * unit_, dlogp_sum), wanted.adds};
            const auto scales = gradient_scales(gradient.weight);
            if constexpr (traits::single_entries > 0) {
                team_.synchronize();
                token_corrections<Team, Objective, StudentRow, TeacherRow>{
                    team_, objective_, in_, student_, teacher_, factors_, scales, dlogp_sum}(tokens.value, count_of_tokens(),
                                                                                             gradient);
            }
            team_.synchronize();
            value = unit_ * sweep(gradient, entry_makers<number, real>(), scales, dlogp_sum);
            team_.synchronize();
            if constexpr (traits::single_entries > 0)
                team_.distribute(count_of_tokens(), [&](std::size_t n) DISTILL_INLINE_LAMBDA {
                    if (const single_entry& entry = tokens.value[n]; entry.is_correction)
                        gradient.data[entry.index - in_.first] =
                            to_element<std::remove_pointer_t<decltype(gradient.data)>>(entry.gradient);
                });
        }
        outcome.loss *= unit_;
        return outcome;
    }

    /// All phases of a whole row, after set_scan.
    DISTILL_INLINE constexpr row_outcome operator()(const Gradient& gradient) const {
        if (!usable_) return {.finite = false};
        sum_record<traits> sums;
        if (always_sums || clamps_matter_) sums = sum();
        double value = 0.0;
        row_outcome outcome = write(gradient, sums, value);
        outcome.loss += value;
        outcome.finite = outcome.finite && is_finite(outcome.loss);
        return outcome;
    }

private:
    using scan_phase = part_scan<Team, Objective, StudentRow, TeacherRow, scans_pair, finds_dlogp_sum>;
    DISTILL_INLINE constexpr scan_phase scanner() const {
        return {team_, objective_, in_, inverse_student_, inverse_teacher_};
    }

    /// The coefficients in units of a power of two, where all of them are so large or so small that a product of one with an
    /// entry's number might leave the range of the type computed in. The row's loss and the weight of its gradient have the
    /// unit as a factor.
    DISTILL_INLINE constexpr void take_out_unit() {
        double largest = 0.0;
        for_each_term(objective_,
                      [&](auto, const auto& t) DISTILL_INLINE_LAMBDA { largest = larger(largest, magnitude(t.weight)); });
        unit_ = unit_beyond(largest, 1.0 / largest_coefficient, largest_coefficient);
        largest_of_row_ = largest / unit_;
        if (unit_ != 1.0) for_each_term(objective_, [&](auto, auto& t) DISTILL_INLINE_LAMBDA { t.weight /= unit_; });
    }
    /// The weight, or the largest one with which every factor of the gradient is far from the end of real's range.
    constexpr double weight_in_range(double weight, const std::array<double, groups>& dlogp_sum) const {
        constexpr double largest = sizeof(real) == sizeof(float) ? 0x1p120 : 0x1p1000;
        double factor = 1.0;
        for (std::size_t g = 0; g < groups; ++g)
            factor = larger(factor, student_[g].inverse_temperature * larger(largest_of_row_, magnitude(dlogp_sum[g])));
        const double bound = largest / factor;
        return weight > bound ? bound : weight < -bound ? -bound : weight;
    }
    static constexpr double magnitude(double x) { return x < 0.0 ? -x : x; }

    /// Terms that depend on the row as a whole are replaced by those for this row. A term of coefficient 0 costs nothing.
    DISTILL_INLINE constexpr void fit_terms_to_row() {
        for_each_term(objective_, [&]<class Term>(auto group, weighted<Term>& t) DISTILL_INLINE_LAMBDA {
            if constexpr (row_dependent_term<Term>) {
                constexpr std::size_t g = group();
                constexpr bool reads_teacher = contains(needs_of<Term>(), fields::teacher);
                if (t.weight != 0.0)
                    t.value = fitted_to_row(t.value, whole_row<Team, StudentRow, TeacherRow, reads_teacher>(
                                                         team_, in_, student_[g], teacher_[g]));
            }
        });
    }

    template <std::size_t... G>
    DISTILL_INLINE constexpr void set_factors(std::index_sequence<G...>) {
        factors_ = {common_factor<G>(objective_)...};
    }
    /// The values of one group are summed without its factor.
    DISTILL_INLINE constexpr double factor_of_values() const {
        if constexpr (groups == 1)
            return factors_[0];
        else
            return 1.0;
    }
    static DISTILL_INLINE constexpr number value_of_group(const number& value, const number& factor) {
        if constexpr (groups == 1)
            return value;
        else
            return value * factor;
    }

    template <class OfGroup>
    static DISTILL_INLINE constexpr std::array<number, groups> broadcast(const OfGroup& of_group) {
        std::array<number, groups> numbers;
        for (std::size_t g = 0; g < groups; ++g) numbers[g] = row_constant<number>(of_group(g));
        return numbers;
    }

    DISTILL_INLINE constexpr std::size_t count_of_tokens() const {
        return traits::token_terms + traits::token_set_terms * in_.set_size();
    }

    static constexpr bool all_finite(double loss, const std::array<double, groups>& dlogp_sum) {
        bool finite = is_finite(loss);
        for (const double m : dlogp_sum) finite = finite && is_finite(m);
        return finite;
    }

    template <class Number, class Real>
    DISTILL_INLINE constexpr std::array<entry_maker<Number, Real>, groups> entry_makers() const {
        std::array<entry_maker<Number, Real>, groups> makers;
        for (std::size_t g = 0; g < groups; ++g) makers[g] = entry_maker<Number, Real>(student_[g], teacher_[g]);
        return makers;
    }

    DISTILL_INLINE constexpr number load_teacher(const auto& at) const {
        if constexpr (traits::reads_teacher)
            return load_logits(team_, in_.teacher, at);
        else
            return number(0.0);
    }

    /// The value and, per group, h. Scratch keeps h times its coefficient and 1 / T, without the row's weight.
    template <bool Keep, class Makers, class At>
    DISTILL_INLINE constexpr std::array<number, 1 + groups> summands(const Makers& makers,
                                                                     const std::array<number, groups>& factors,
                                                                     const std::array<number, groups>& slopes,
                                                                     const At& at) const {
        const number z = load_logits(team_, in_.student, at), w = load_teacher(at);
        std::array<number, 1 + groups> result;
        result[0] = number(empty_sum);
        number kept(empty_sum);
        [&]<std::size_t... G>(std::index_sequence<G...>) DISTILL_INLINE_LAMBDA {
            const auto of_group = [&](auto g) DISTILL_INLINE_LAMBDA {
                const summand<number> s =
                    evaluate_group<g()>(objective_, make_entry<traits::reads_teacher>(makers[g()], z, w));
                result[0] = result[0] + value_of_group(s.value, factors[g()]);
                result[1 + g()] = s.dlogp;
                kept = fma(s.dlogp, slopes[g()], kept);
            };
            (of_group(std::integral_constant<std::size_t, G>{}), ...);
        }(std::make_index_sequence<groups>{});
        if constexpr (Keep) team_.store(team_.scratch(), at, kept);
        return result;
    }

    constexpr std::array<double, groups> gradient_scales(double weight) const {
        std::array<double, groups> scales{};
        for (std::size_t g = 0; g < groups; ++g) scales[g] = weight * student_[g].inverse_temperature;
        return scales;
    }

    /// Sweep 3. Returns the value where sweep 2 was left out, else 0.
    template <class Element, class Makers>
    DISTILL_INLINE constexpr double sweep(const row_gradient<Element>& gradient, const Makers& makers,
                                          const std::array<double, groups>& scales,
                                          const std::array<double, groups>& dlogp_sum) const {
        if constexpr (keeps_derivatives || !traits::has_vocabulary_terms) {
            std::array<double, groups> scaled_dlogp_sum{};
            for (std::size_t g = 0; g < groups; ++g) scaled_dlogp_sum[g] = -scales[g] * dlogp_sum[g];
            team_.outlined(gradient_sweep<keeps_derivatives, groups, Team, StudentRow, Element>{
                team_, in_.student, in_.vocabulary, student_, scaled_dlogp_sum, gradient});
            return 0.0;
        } else {
            return sweep_with_terms(gradient, makers, scales, dlogp_sum);
        }
    }

    template <class Makers>
    DISTILL_INLINE constexpr double sweep_with_terms(const Gradient& gradient, const Makers& makers,
                                                     const std::array<double, groups>& scales,
                                                     const std::array<double, groups>& dlogp_sum) const {
        const auto scale = broadcast([&](std::size_t g) { return scales[g] * factors_[g]; });
        const auto scaled_dlogp_sum = broadcast([&](std::size_t g) { return -scales[g] * dlogp_sum[g]; });
        const auto factors = broadcast([&](std::size_t g) { return factors_[g]; });
        const auto gradient_of = [&](const auto& at, number& value) DISTILL_INLINE_LAMBDA {
            team_.prefetch_next_tile(gradient.data, at);
            team_.prefetch_next_tile(address_of(in_.student), at);
            if constexpr (traits::reads_teacher) team_.prefetch_next_tile(address_of(in_.teacher), at);
            const number z = load_logits(team_, in_.student, at);
            number dz(empty_sum);
            [&]<std::size_t... G>(std::index_sequence<G...>) DISTILL_INLINE_LAMBDA {
                const auto of_group = [&](auto g) DISTILL_INLINE_LAMBDA {
                    const entry<number> e = make_entry<traits::reads_teacher>(makers[g()], z, load_teacher(at));
                    const summand<number> s = evaluate_group<g()>(objective_, e);
                    value = value + value_of_group(s.value, factors[g()]);
                    dz = fma(s.dlogp, scale[g()], dz);
                    if constexpr (traits::needs_dlogp_sum || traits::single_entries + traits::normalizer_terms > 0)
                        dz = fma(e.p, scaled_dlogp_sum[g()], dz);
                };
                (of_group(std::integral_constant<std::size_t, G>{}), ...);
            }(std::make_index_sequence<groups>{});
            store_gradient(team_, in_.student, gradient, at, dz);
        };

        if constexpr (!sweeps_for_dlogp_sum) {
            return sum_over<1>(team_, in_.vocabulary,
                               [&](const auto& at) DISTILL_INLINE_LAMBDA {
                                   std::array<number, 1> value{number(empty_sum)};
                                   gradient_of(at, value[0]);
                                   return value;
                               })[0] *
                   factor_of_values();
        } else {
            number unused(0.0);
            team_.for_each_tile(in_.vocabulary, [&](const auto& tile) DISTILL_INLINE_LAMBDA {
                team_.for_each(tile, [&](const auto& at) DISTILL_INLINE_LAMBDA { gradient_of(at, unused); });
            });
            return 0.0;
        }
    }

    // Copies, so that the compiler sees that the gradient written in a loop does not alias what the loop reads.
    Team team_;
    Objective objective_;
    row_input<StudentRow, TeacherRow> in_;
    std::array<double, groups> inverse_student_{}, inverse_teacher_{};  ///< temperatures
    std::array<softmax, groups> student_{}, teacher_{};
    std::array<double, traits::token_terms> token_logits_{};
    double teacher_logit_ = absent_logit;
    std::array<double, groups> factors_{};
    double reverse_kl_ = 0.0;
    bool clamps_matter_ = false;  ///< reverse_kl_ is not good enough
    double unit_ = 1.0;
    double largest_of_row_ = 0.0;  ///< coefficient, in units
    std::int64_t teacher_token_ = 0;
    bool usable_ = false;
};

}  // namespace distill::inline DISTILL_ABI::row
