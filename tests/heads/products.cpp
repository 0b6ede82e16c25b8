// Who multiplies: every product against plain loops in double, and the bits of rows.
#include "heads.hpp"

#include <distill/head/cblas_product.hpp>

#include <doctest/doctest.h>
#include <Eigen/Core>

#if defined(DISTILL_TEST_CBLAS)
#include <cblas.h>
#endif
#if defined(DISTILL_TEST_DNNL)
#include <distill/head/dnnl_product.hpp>
#endif

namespace heads {
namespace {

using distill::matrix_view;

// c[m, n] = a[m, k] b[k, n], entries by functions.
template <class A, class B>
std::vector<double> plain_product(std::size_t m, std::size_t n, std::size_t k, const A& a, const B& b) {
    std::vector<double> c(m * n);
    for (std::size_t i = 0; i < m; ++i)
        for (std::size_t j = 0; j < n; ++j)
            for (std::size_t s = 0; s < k; ++s) c[i * n + j] += a(i, s) * b(s, j);
    return c;
}

// A matrix with padding that is no number.
template <class Element>
struct padded {
    std::size_t rows, columns, stride;
    std::vector<Element> memory;

    padded(std::mt19937& random, std::size_t r, std::size_t c, std::size_t padding)
        : rows(r), columns(c), stride(c + padding), memory(stored<Element>(normal(random, r * stride, 1.0))) {
        for (std::size_t i = 0; i < r; ++i)
            for (std::size_t j = c; j < stride; ++j) memory[i * stride + j] = static_cast<Element>(std::nanf(""));
    }
    [[nodiscard]] matrix_view<Element> view() { return {memory.data(), rows, columns, stride}; }
    [[nodiscard]] matrix_view<const Element> view() const { return {memory.data(), rows, columns, stride}; }
    [[nodiscard]] double at(std::size_t i, std::size_t j) const {
        if constexpr (sizeof(Element) == 2)
            return static_cast<double>(static_cast<float>(memory[i * stride + j]));
        else
            return static_cast<double>(memory[i * stride + j]);
    }
    [[nodiscard]] std::vector<double> dense() const {
        std::vector<double> all;
        for (std::size_t i = 0; i < rows; ++i)
            for (std::size_t j = 0; j < columns; ++j) all.push_back(at(i, j));
        return all;
    }
    [[nodiscard]] bool padding_is_untouched() const {
        for (std::size_t i = 0; i < rows; ++i)
            for (std::size_t j = columns; j < stride; ++j)
                if (!distill::is_nan(at(i, j))) return false;
        return true;
    }
};

template <class Real, class Weight, class Product>
void check_product(const char* name, const Product& product, double tolerance, double tolerance_of_gradients) {
    CAPTURE(name);
    using operand = typename distill::detail::operand_of<Product, Weight, Real>::type;
    static_assert(distill::matrix_product<Product, Weight, Weight, Real>);
    auto random = engine(name);
    constexpr std::size_t n = 128, v = 1100, d = 300;
    const padded<operand> h(random, n, d, 4);
    const padded<Weight> w(random, v, d, 2);
    const padded<Real> g(random, n, v, 3), of_group(random, 64, v, 1);
    const padded<operand> group(random, 64, d, 0);
    padded<Real> z(random, n, v, 5), dh(random, n, d, 1), dw(random, v, d, 7);
    const std::vector<double> before = dw.dense();

    product.logits(h.view(), w.view(), z.view());
    product.to_hidden(g.view(), w.view(), dh.view());
    product.to_weight(of_group.view(), group.view(), dw.view());
    const auto of = [](const auto& m) { return [&m](std::size_t i, std::size_t j) { return m.at(i, j); }; };
    const auto turned = [](const auto& m) { return [&m](std::size_t i, std::size_t j) { return m.at(j, i); }; };
    CHECK(distill_test::norm_error(z.dense(), plain_product(n, v, d, of(h), turned(w))) < tolerance);
    CHECK(distill_test::norm_error(dh.dense(), plain_product(n, d, v, of(g), of(w))) < tolerance_of_gradients);
    auto expected = plain_product(v, d, 64, turned(of_group), of(group));
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += before[i];
    CHECK(distill_test::norm_error(dw.dense(), expected) < tolerance_of_gradients);
    CHECK((z.padding_is_untouched() && dh.padding_is_untouched() && dw.padding_is_untouched()));
}

// Rows of a product over all rows, and over the first 64 of them.
template <class Real, class Weight, class Product>
bool rows_depend_on_themselves(const Product& product) {
    using operand = typename distill::detail::operand_of<Product, Weight, Real>::type;
    auto random = engine("rows");
    constexpr std::size_t n = 512, v = 1100, d = 300;
    const padded<operand> h(random, n, d, 0);
    const padded<Weight> w(random, v, d, 0);
    const padded<Real> g(random, n, v, 0);
    padded<Real> z(random, n, v, 0), dh(random, n, d, 0);
    product.logits(h.view(), w.view(), z.view());
    product.to_hidden(g.view(), w.view(), dh.view());
    for (const std::size_t rows : {64u, 128u, 192u, 256u}) {
        padded<Real> first_z(random, rows, v, 0), first_dh(random, rows, d, 0);
        const auto count = static_cast<std::ptrdiff_t>(rows);
        product.logits(h.view().middle_rows(64, count), w.view(), first_z.view());
        product.to_hidden(g.view().middle_rows(64, count), w.view(), first_dh.view());
        if (std::memcmp(first_z.memory.data(), z.memory.data() + 64 * v, rows * v * sizeof(Real)) != 0) return false;
        if (std::memcmp(first_dh.memory.data(), dh.memory.data() + 64 * d, rows * d * sizeof(Real)) != 0) return false;
    }
    return true;
}

constexpr double single = 1e-6, exact = 1e-14;

}  // namespace

TEST_CASE("Eigen's products are those of plain loops, for every type of weights") {
    const distill::eigen_product product;
    check_product<float, float>("eigen, float", product, single, single);
    check_product<double, double>("eigen, double", product, exact, exact);
    check_product<float, Eigen::bfloat16>("eigen, bfloat16", product, single, single);
    check_product<float, Eigen::half>("eigen, half", product, single, single);
    check_product<float, float>("eigen, two threads", distill::eigen_product{threads{2}}, single, single);
}

TEST_CASE("Eigen's rows depend on themselves alone") {
    CHECK(rows_depend_on_themselves<float, float>(distill::eigen_product{}));
    CHECK(rows_depend_on_themselves<float, Eigen::bfloat16>(distill::eigen_product{}));
    CHECK(rows_depend_on_themselves<double, double>(distill::eigen_product{}));
}

#if defined(DISTILL_TEST_CBLAS)
TEST_CASE("OpenBLAS's products are those of plain loops, and its rows depend on themselves alone") {
    const distill::cblas_product product{cblas_sgemm};
    check_product<float, float>("cblas, float", product, single, single);
    check_product<float, Eigen::bfloat16>("cblas, bfloat16", product, single, single);
    check_product<double, double>("cblas, double", distill::cblas_product{cblas_dgemm}, exact, exact);
    CHECK(rows_depend_on_themselves<float, float>(product));
}

TEST_CASE("a call through heads by OpenBLAS is that by Eigen") {
    const problem p = make_problem("cblas", {.rows = 200, .vocabulary = 521, .width = 48, .teacher_width = 40});
    const distill::loss loss{distill::reverse_kl{}, distill::eigen{}, distill::token_mean{}};
    stored_problem<float> by_eigen(p), by_blas(p), in_larger_chunks(p);
    const auto run = [&](const auto& product, stored_problem<float>& s, std::ptrdiff_t rows) {
        const distill::through_heads f{loss, product, distill::rows_at_once{rows}};
        std::vector<std::byte> memory(f.workspace_bytes(s.student(), s.teacher()));
        return f(s.student(), s.teacher(), p.batch(), s.gradients(), memory).value;
    };
    const double expected = run(distill::eigen_product{}, by_eigen, 64);
    const double found = run(distill::cblas_product{cblas_sgemm}, by_blas, 64);
    CHECK(distill_test::relative_error(found, expected) < distill_test::tolerance::single_loss);
    CHECK(distill_test::norm_error(widened(by_blas.hidden_gradient), widened(by_eigen.hidden_gradient)) <
          distill_test::tolerance::single_gradient);
    CHECK(distill_test::norm_error(widened(by_blas.weight_gradient), widened(by_eigen.weight_gradient)) <
          distill_test::tolerance::single_gradient);
    CHECK(run(distill::cblas_product{cblas_sgemm}, in_larger_chunks, 256) == found);
    CHECK(same_bits(in_larger_chunks.hidden_gradient, by_blas.hidden_gradient));
    CHECK(same_bits(in_larger_chunks.weight_gradient, by_blas.weight_gradient));
    CHECK(same_bits(in_larger_chunks.bias_gradient, by_blas.bias_gradient));
}
#endif

#if defined(DISTILL_TEST_DNNL)
TEST_CASE("oneDNN's products are those of plain loops on bfloat16, and of gradients rounded to it") {
    if (distill::simd::widest_supported() < distill::instruction_set::avx512) {
        MESSAGE("no AVX-512, which oneDNN needs for bfloat16");
        return;
    }
    check_product<float, Eigen::bfloat16>("dnnl", distill::dnnl_product{}, single, 1.0 / 256);

    // A call through heads, whose hidden states stay as they are.
    const problem p = make_problem("dnnl", {.rows = 200, .vocabulary = 521, .width = 48, .teacher_width = 40});
    const distill::loss loss{distill::reverse_kl{}, distill::eigen{}, distill::token_mean{}};
    stored_problem<Eigen::bfloat16> by_eigen(p), by_dnnl(p);
    const auto run = [&](const auto& product, stored_problem<Eigen::bfloat16>& s) {
        const distill::through_heads f{loss, product, distill::rows_at_once{64}};
        std::vector<std::byte> memory(f.workspace_bytes(s.student(), s.teacher()));
        return f(s.student(), s.teacher(), p.batch(), s.gradients(), memory).value;
    };
    const double expected = run(distill::eigen_product{}, by_eigen);
    CHECK(distill_test::relative_error(run(distill::dnnl_product{}, by_dnnl), expected) <
          distill_test::tolerance::single_loss);
    CHECK(distill_test::norm_error(widened(by_dnnl.hidden_gradient), widened(by_eigen.hidden_gradient)) < 1.0 / 128);
    CHECK(distill_test::norm_error(widened(by_dnnl.weight_gradient), widened(by_eigen.weight_gradient)) < 1.0 / 128);
    CHECK(distill_test::norm_error(widened(by_dnnl.bias_gradient), widened(by_eigen.bias_gradient)) <
          distill_test::tolerance::single_gradient);
}
#endif

}  // namespace heads
