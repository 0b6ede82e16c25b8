// The kernels of every objective of the catalogue in float, and those of a few element types and sums that ask most of a
// multiprocessor's registers; check_resources.py compiles them and never runs them. DISTILL_CATALOGUE is the half of the catalogue.
#include <distill/backend/cuda.cuh>
#include <distill/distill.hpp>

#include <support/catalogue.hpp>

namespace {

// nvcc takes no lambda of the host's for a kernel template's argument.
template <class Objective>
inline constexpr bool has_kernel = true;
template <class Function>
inline constexpr bool has_kernel<distill::term_from<Function>> = false;

template <class Element, class Objective>
void enqueue(const Objective& objective) {
    if constexpr (has_kernel<Objective>) {
        const distill::batch<Element> in{};
        distill::loss_result* const result = nullptr;
        distill::loss{objective, distill::cuda{}, distill::token_mean{}}(in, distill::gradient<Element>{}, result);
    }
}

}  // namespace

void every_kernel() {
    using namespace distill;
    distill_test::for_each_listed(distill_test::DISTILL_CATALOGUE(),
                                  [](const auto& entry) { enqueue<float>(entry.objective); });
#if defined(DISTILL_CATALOGUE_AND_MORE)
    enqueue<__half>(adaptive_kl{});
    enqueue<__half>(alpha_beta{});
    enqueue<double>(adaptive_kl{});
    enqueue<__nv_bfloat16>(skew_forward_kl{} + skew_reverse_kl{} + jensen_shannon{});
    enqueue<float>(chi_squared{} + squared_hellinger{} + alpha_beta{});
    enqueue<float>(skew_forward_kl{} + skew_reverse_kl{} + jensen_shannon{} + forward_kl{} + reverse_kl{} + entropy{});
    enqueue<double>(tgpo{} + 0.1 * reverse_kl{});
#endif
}
