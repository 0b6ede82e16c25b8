// What a call holds beside its inputs and outputs: the workspace, as large as the documentation says, and nothing else.
#include "heads.hpp"

#include <support/allocations.hpp>

#include <doctest/doctest.h>
#include <malloc.h>

#include <fstream>

// A sanitizer has memory of its own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define DISTILL_TEST_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define DISTILL_TEST_SANITIZED
#endif
#endif

namespace heads {
namespace {

// Plain loops: whatever is allocated is the library's.
struct plain_loops {
    template <class Weight>
    void logits(distill::matrix_view<const float> h, distill::matrix_view<const Weight> w,
                distill::matrix_view<float> z) const {
        for (std::ptrdiff_t i = 0; i < h.rows; ++i)
            for (std::ptrdiff_t v = 0; v < w.rows; ++v) {
                z.row(i)[v] = 0.0f;
                for (std::ptrdiff_t k = 0; k < w.columns; ++k) z.row(i)[v] += h.row(i)[k] * w.row(v)[k];
            }
    }
    void to_hidden(distill::matrix_view<const float> g, distill::matrix_view<const float> w,
                   distill::matrix_view<float> dh) const {
        for (std::ptrdiff_t i = 0; i < g.rows; ++i)
            for (std::ptrdiff_t k = 0; k < w.columns; ++k) {
                dh.row(i)[k] = 0.0f;
                for (std::ptrdiff_t v = 0; v < w.rows; ++v) dh.row(i)[k] += g.row(i)[v] * w.row(v)[k];
            }
    }
    void to_weight(distill::matrix_view<const float> g, distill::matrix_view<const float> h,
                   distill::matrix_view<float> dw) const {
        ++updates_of_weights;
        for (std::ptrdiff_t v = 0; v < g.columns; ++v)
            for (std::ptrdiff_t k = 0; k < h.columns; ++k)
                for (std::ptrdiff_t i = 0; i < g.rows; ++i) dw.row(v)[k] += g.row(i)[v] * h.row(i)[k];
    }

    static inline int updates_of_weights = 0;
};

#if !defined(DISTILL_TEST_SANITIZED)
double bytes_of(const std::string& field) {
    std::ifstream status("/proc/self/status");
    for (std::string name; status >> name;)
        if (name == field) {
            double kilobytes = 0.0;
            status >> kilobytes;
            return kilobytes * 1024.0;
        }
    return 0.0;
}
#endif

}  // namespace

TEST_CASE("a call allocates nothing, and computes no gradient of weights that are frozen") {
    const problem p = make_problem("allocations", {.rows = 150, .vocabulary = 67, .width = 6, .teacher_width = 9});
    stored_problem<float> s(p);
    const distill::through_heads f{distill::loss{distill::jensen_shannon{}, distill::eigen{}, distill::sequence_mean{}},
                                   plain_loops{}, distill::rows_at_once{64}};
    std::vector<std::byte> memory(f.workspace_bytes(s.student(), s.teacher()));
    f(s.student(), s.teacher(), p.batch(), s.gradients(), memory);
    CHECK(plain_loops::updates_of_weights > 0);
    const std::vector<float> expected = s.hidden_gradient;
    plain_loops::updates_of_weights = 0;
    auto frozen = s.gradients();
    frozen.weight = {};
    frozen.bias = {};

    const std::size_t before = distill_test::allocations;
    f(s.student(), s.teacher(), p.batch(), s.gradients(), memory);
    const int updates = plain_loops::updates_of_weights;
    f(s.student(), s.teacher(), p.batch(), frozen, memory);
    f(s.student(), s.teacher(), p.batch(), memory);
    const std::size_t after = distill_test::allocations;
    CHECK(after == before);
    CHECK(updates > 0);
    CHECK(plain_loops::updates_of_weights == updates);
    CHECK(same_bits(s.hidden_gradient, expected));
}

TEST_CASE("masked rows cost no product") {
    problem p = make_problem("masked", {.rows = 1000, .vocabulary = 67, .width = 6, .teacher_width = 9});
    for (std::size_t i = 0; i < p.of.rows; ++i) p.fields.weights[i] = i % 10 == 0 ? 1.0 : 0.0;
    p.fields.labels.assign(p.of.rows, 1);
    stored_problem<float> s(p);
    const distill::through_heads f{distill::loss{distill::forward_kl{}, distill::eigen{}, distill::token_mean{}},
                                   plain_loops{}, distill::rows_at_once{64}};
    std::vector<std::byte> memory(f.workspace_bytes(s.student(), s.teacher()));
    plain_loops::updates_of_weights = 0;
    CHECK(f(s.student(), s.teacher(), p.batch(), s.gradients(), memory).active_rows == 100);
    CHECK(plain_loops::updates_of_weights == 2);  // of 64 rows
}

TEST_CASE("the workspace is as large as the documentation's formula says, and so is the memory of a call") {
    constexpr std::size_t rows = 512, vocabulary = 49152, width = 16, teacher_width = 24, at_once = 128;
    const distill::through_heads f{distill::loss{distill::forward_kl{}, distill::eigen{}, distill::token_mean{}},
                                   distill::eigen_product{}, distill::rows_at_once{at_once}};
    std::vector<float> h(rows * width, 0.1f), w(vocabulary * width, 0.2f), ht(rows * teacher_width, 0.3f),
        wt(vocabulary * teacher_width, 0.4f), dh(h.size()), dw(w.size());
    const distill::linear_head<float> student{.hidden = {h.data(), rows, width}, .weight = {w.data(), vocabulary, width}};
    const distill::linear_head<float> teacher{.hidden = {ht.data(), rows, teacher_width},
                                              .weight = {wt.data(), vocabulary, teacher_width}};
    constexpr double formula = 2.0 * at_once * vocabulary * 4 + at_once * teacher_width * 4 + 8.0 * rows + 16.0 * at_once;
    const std::size_t needed = f.workspace_bytes(student, teacher);
    CHECK(static_cast<double>(needed) >= formula);
    CHECK(static_cast<double>(needed) < 1.01 * formula);

#if !defined(DISTILL_TEST_SANITIZED)
    const auto call = [&] {
        std::vector<std::byte> memory(needed);
        f(student, teacher, distill::batch<float>{},
          {.hidden = {dh.data(), rows, width}, .weight = {dw.data(), vocabulary, width}}, memory);
    };
    malloc_trim(0);
    std::ofstream reset("/proc/self/clear_refs");
    if (!(reset << 5 << std::flush)) {
        MESSAGE("the system does not say how much memory a process had at most");
        return;
    }
    const double before = bytes_of("VmRSS:");
    call();
    const double peak = bytes_of("VmHWM:") - before;
    MESSAGE("peak ", peak / 1e6, " MB, formula ", formula / 1e6, " MB");
    CHECK(peak > 0.95 * formula);
    CHECK(peak < 1.05 * formula);
#endif
}

}  // namespace heads
