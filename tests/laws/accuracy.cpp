// The accuracy contract at the size of a real vocabulary: the SIMD backend in fp32 against double arithmetic on the same
// inputs, for every entry of the catalogue, every element type and every instruction set. The table that it prints is the
// one in the documentation.
#include "subject.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

namespace distill_test {
namespace {

using distill::instruction_set;

constexpr std::size_t vocabulary = 151936;

// KL(q || p) = sum_v q (exp(log p - log q) - 1 - (log p - log q)): the form that does not cancel.
double divergence_between(const double* student, const double* teacher) {
    const auto log_p = log_softmax(student, vocabulary), log_q = log_softmax(teacher, vocabulary);
    double sum = 0.0;
    for (std::size_t v = 0; v < vocabulary; ++v) {
        const double log_ratio = log_p[v] - log_q[v];
        sum += std::exp(log_q[v]) * (std::expm1(log_ratio) - log_ratio);
    }
    return sum;
}

// A teacher, and a student at a given KL from it.
struct pair_of_rows {
    std::vector<double> student, teacher;
};

// Normal logits; probabilities that fall like rank^-1.5, with some noise; normal logits but for one token of probability one
// half, about which student and teacher agree.
enum class shape { normal, peaked, agreed };
constexpr std::size_t agreed_token = 77777;

// What an emulated processor computes in minutes is a part of the rows: one of KL(q || p) near 1e-3, one of it near 5e-7.
#if defined(DISTILL_TESTS_EMULATED)
constexpr bool emulated = true;
const std::vector<shape> shapes = {shape::peaked};
const std::vector<double> divergences = {1.1e-3, 5.5e-7};
#else
constexpr bool emulated = false;
const std::vector<shape> shapes = {shape::normal, shape::peaked, shape::agreed};
const std::vector<double> divergences = {1.0, 1e-1, 1.1e-3, 5e-5, 5.5e-7};
#endif

std::vector<double> teacher_logits(shape form) {
    auto random = engine("accuracy: teacher");
    std::vector<double> logits = normal(random, vocabulary, form == shape::peaked ? 0.5 : 3.0);
    if (form == shape::peaked) {
        for (std::size_t v = 0; v < vocabulary; ++v) logits[v] -= 1.5 * std::log(1.0 + static_cast<double>(v)) - 12.0;
        std::shuffle(logits.begin(), logits.end(), random);
    }
    if (form == shape::agreed) {
        double mass = 0.0;
        for (const double x : logits) mass += std::exp(x);
        logits[agreed_token] = std::log(mass);
    }
    return logits;
}

// The student is the teacher plus noise whose size is fitted to the divergence.
pair_of_rows pair_at(shape form, double divergence) {
    auto random = engine("accuracy: noise");
    pair_of_rows rows{.student = {}, .teacher = teacher_logits(form)};
    auto noise = normal(random, vocabulary, 1.0);
    if (form == shape::agreed) noise[agreed_token] = 0.0;
    double scale = std::sqrt(2.0 * divergence);
    for (int round = 0; round < 3; ++round) {
        rows.student = rows.teacher;
        for (std::size_t v = 0; v < vocabulary; ++v) rows.student[v] += scale * noise[v];
        scale *= std::sqrt(divergence / divergence_between(rows.student.data(), rows.teacher.data()));
    }
    return rows;
}

template <class Element>
filled_rows batch_of(const std::vector<pair_of_rows>& pairs) {
    filled_rows in{.rows = pairs.size(), .vocabulary = vocabulary};
    for (const auto& rows : pairs) {
        in.student.insert(in.student.end(), rows.student.begin(), rows.student.end());
        in.teacher.insert(in.teacher.end(), rows.teacher.begin(), rows.teacher.end());
    }
    in.student = widened(stored<Element>(in.student));
    in.teacher = widened(stored<Element>(in.teacher));
    auto random = engine("accuracy: tokens");
    fill_tokens(in, random);
    return in;
}

const std::vector<instruction_set>& instruction_sets() {
    static const auto sets = [] {
        std::vector<instruction_set> supported;
        for (const auto set : {instruction_set::baseline, instruction_set::avx2, instruction_set::avx512})
            if (set <= distill::simd::widest_supported()) supported.push_back(set);
        return supported;
    }();
    return sets;
}

// Half a unit in the last place at x.
double half_unit(double x, int mantissa_bits, int smallest_exponent) {
    const int exponent = std::max(x == 0.0 ? smallest_exponent : std::ilogb(x), smallest_exponent);
    return std::ldexp(0.5, exponent - mantissa_bits);
}

struct storage_format {
    const char* name;
    int mantissa_bits, smallest_exponent;
};
constexpr storage_format single_format{"float", 23, -126}, half_format{"half", 10, -14},
    bfloat16_format{"bfloat16", 7, -126};

// The worst of one entry of the catalogue.
struct worst {
    double loss = 0.0, loss_near_zero = 0.0, gradient = 0.0, gradient_near_zero = 0.0, sum = 0.0, entry = 0.0;
};

// One row's gradient: norm of the error over the norm; the sum over the sum of |dz_j| + p_j + q_j; the largest error of an
// entry beyond one rounding to the storage type, relative to |dz_j| + (p_j + q_j) (1 + |loss|).
struct row_errors {
    double norm = 0.0, sum = 0.0, entry = 0.0;
};

struct row_of_logs {
    std::vector<double> log_p, log_q;
    double divergence;  // KL(q || p)
};

row_errors errors_of_row(const double* found, const double* expected, const row_of_logs& row, double loss, bool jumps,
                         const storage_format& format) {
    double error = 0.0, size = 0.0, sum = 0.0, magnitude = 0.0, entry = 0.0;
    bool finite = true;
    for (std::size_t v = 0; v < vocabulary; ++v) {
        finite = finite && distill::is_finite(found[v]);
        const double mass = std::exp(row.log_p[v]) + std::exp(row.log_q[v]);
        sum += found[v];
        magnitude += std::abs(found[v]) + mass;
        if (jumps && std::abs(row.log_p[v] - row.log_q[v]) < tolerance::width_of_a_jump) continue;
        const double difference = std::abs(found[v] - expected[v]);
        error += difference * difference;
        size += expected[v] * expected[v];
        const double rounding = half_unit(expected[v], format.mantissa_bits, format.smallest_exponent);
        const double scale = std::abs(expected[v]) + mass * (1.0 + std::abs(loss)) + 1e-37;
        entry = std::max(entry, (difference - rounding) / scale);
    }
    if (!finite) return {infinitely_far, infinitely_far, infinitely_far};
    return {std::sqrt(error / std::max(size, 1e-300)), std::abs(sum) / magnitude, entry};
}

// The worst of every subject on `in`, whatever the instruction set; expected from the reference.
template <class Evaluator>
void measure(std::vector<worst>& worst_of, const filled_rows& in, const storage_format& format, const Evaluator& on_eigen) {
    std::vector<row_of_logs> logs;
    for (std::size_t row = 0; row < in.rows; ++row)
        logs.push_back({log_softmax(in.student_row(row), vocabulary), log_softmax(in.teacher_row(row), vocabulary),
                        divergence_between(in.student_row(row), in.teacher_row(row))});
    worst_of.resize(subjects().size());
    for (std::size_t i = 0; i < subjects().size(); ++i) {
        const subject& s = subjects()[i];
        worst& w = worst_of[i];
        if (!on_eigen(s)) continue;
        const answer expected = s.on_reference(in, {});
        for (const instruction_set set : instruction_sets()) {
            const answer found = on_eigen(s)(in, {.widest = set});
            for (std::size_t row = 0; row < in.rows; ++row) {
                const double loss = expected.row_losses[row];
                if (s.is_divergence()) {
                    CAPTURE(s.name);
                    CHECK(found.row_losses[row] >= 0.0);
                }
                const auto g =
                    errors_of_row(found.gradient.data() + row * vocabulary, expected.gradient.data() + row * vocabulary,
                                  logs[row], loss, s.accuracy == near_equality::jumps, format);
                const bool sizeable = logs[row].divergence >= tolerance::sizeable_divergence;
                const auto raise = [](double& largest, double x) { largest = std::max(largest, x); };
                if (logs[row].divergence >= tolerance::smallest_divergence)
                    raise(sizeable && std::abs(loss) >= tolerance::sizeable_divergence ? w.loss : w.loss_near_zero,
                          relative_error(found.row_losses[row], loss));
                raise(sizeable ? w.gradient : w.gradient_near_zero, g.norm);
                raise(w.sum, g.sum);
                raise(w.entry, g.entry);
            }
        }
    }
}

// Columns: relative error of the loss where it and KL(q || p) are at least 1e-3, and where one is smaller; the same for the norm of the
// gradient; and sum and entry as in row_errors.
void print(const std::vector<worst>& worst_of, const storage_format& format) {
    std::printf("\n%-9s %-32s %8s %8s %8s %8s %8s %8s\n", format.name, "", "loss", "small", "gradient", "small", "sum",
                "entry");
    for (std::size_t i = 0; i < worst_of.size(); ++i) {
        const worst& w = worst_of[i];
        if (format.mantissa_bits < single_format.mantissa_bits && !subjects()[i].on_eigen_half) continue;
        std::printf("%-9s %-32s %8.0e %8.0e %8.0e %8.0e %8.0e %8.0e\n", format.name, subjects()[i].name.c_str(), w.loss,
                    w.loss_near_zero, w.gradient, w.gradient_near_zero, w.sum, w.entry);
    }
    std::fflush(stdout);
}

TEST_CASE("fp32 keeps its accuracy at V = 151 936, from KL = 1 down to 5e-7") {
    std::vector<worst> worst_of;
    for (const shape form : shapes) {
        std::vector<pair_of_rows> pairs;
        for (const double divergence : divergences) pairs.push_back(pair_at(form, divergence));
        measure(worst_of, batch_of<float>(pairs), single_format, [](const subject& s) { return s.on_eigen; });
    }
    print(worst_of, single_format);
    for (std::size_t i = 0; i < worst_of.size(); ++i) {
        const worst& w = worst_of[i];
        CAPTURE(subjects()[i].name);
        if (subjects()[i].kind != nature::normalizer) CHECK(w.sum <= tolerance::single_gradient_sum);
        if (subjects()[i].accuracy == near_equality::draws) continue;
        CHECK(w.loss <= tolerance::single_loss);
        CHECK(w.loss_near_zero <= tolerance::single_loss_near_zero);
        if (subjects()[i].accuracy == near_equality::jumps) CHECK(w.gradient <= tolerance::single_gradient_with_a_jump);
        if (subjects()[i].accuracy != near_equality::keeps_digits) continue;
        CHECK(w.gradient <= tolerance::single_gradient);
        CHECK(w.gradient_near_zero <= tolerance::single_gradient_near_zero);
        CHECK(w.entry <= (subjects()[i].name == "alpha_beta" ? tolerance::single_gradient_entry_of_alpha_beta
                                                             : tolerance::single_gradient_entry));
    }
}

TEST_CASE("16-bit storage costs one rounding of the gradient and nothing else") {
    std::vector<pair_of_rows> pairs = {pair_at(shape::peaked, 1e-2)};
    if (!emulated) pairs.push_back(pair_at(shape::normal, 1.0));
    const auto hold = [](const std::vector<worst>& worst_of, const storage_format& format) {
        print(worst_of, format);
        for (std::size_t i = 0; i < worst_of.size(); ++i) {
            CAPTURE(subjects()[i].name);
            if (subjects()[i].accuracy == near_equality::draws) continue;
            CHECK(worst_of[i].loss <= tolerance::single_loss);
            CHECK(worst_of[i].loss_near_zero <= tolerance::single_loss_near_zero);
            if (subjects()[i].accuracy == near_equality::keeps_digits)
                CHECK(worst_of[i].entry <= tolerance::single_gradient_entry);
        }
    };
    std::vector<worst> in_half, in_bfloat16;
    measure(in_half, batch_of<Eigen::half>(pairs), half_format, [](const subject& s) { return s.on_eigen_half; });
    measure(in_bfloat16, batch_of<Eigen::bfloat16>(pairs), bfloat16_format,
            [](const subject& s) { return s.on_eigen_bfloat16; });
    hold(in_half, half_format);
    hold(in_bfloat16, bfloat16_format);
}

}  // namespace
}  // namespace distill_test
