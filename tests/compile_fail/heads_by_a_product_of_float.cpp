// A BLAS's function in float multiplies no matrices of double.
#include <distill/backend/reference.hpp>
#include <distill/divergence/forward_kl.hpp>
#include <distill/head/cblas_product.hpp>
#include <distill/head/through_heads.hpp>
#include <distill/reduction/token_mean.hpp>

enum layout { row_major = 101 };
enum transpose { as_is = 111 };
void sgemm(layout, transpose, transpose, int, int, int, float, const float*, int, const float*, int, float, float*, int);
void dgemm(layout, transpose, transpose, int, int, int, double, const double*, int, const double*, int, double, double*,
           int);

#if defined(DISTILL_TEST_GOOD_TWIN)
constexpr auto gemm = dgemm;
#else
constexpr auto gemm = sgemm;
#endif

double value(const distill::linear_head<double>& student, const distill::linear_head<double>& teacher) {
    const distill::loss loss{distill::forward_kl{}, distill::reference{}, distill::token_mean{}};
    const distill::through_heads f{loss, distill::cblas_product{gemm}};
    // expect: distill: the product does not multiply matrices of these types
    return f(student, teacher, distill::batch<double>{}, std::span<std::byte>{}).value;
}
