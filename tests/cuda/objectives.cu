// Every objective of the catalogue on the CUDA backend, against the reference.
#include "on_device.hpp"

#include <support/catalogue.hpp>

namespace distill_test {
namespace {

// nvcc takes no lambda of the host's for a kernel template's argument.
template <class Objective>
inline constexpr bool has_kernel = true;
#if defined(__CUDACC__)
template <class Function>
inline constexpr bool has_kernel<distill::term_from<Function>> = false;
#endif

template <class Catalogue>
void agrees_with_reference(const Catalogue& catalogue) {
    auto random = engine("cuda: objectives");
    filled_rows in = stored_rows<float>(random_rows(random, 5, 333));
    in.weights = {1.0, 0.0, 2.0, 0.5, 1.0};
    for_each_listed(catalogue, [&]<class Objective>(const listed<Objective>& entry) {
        if constexpr (has_kernel<Objective>) {
            CAPTURE(entry.name);
            agree(on_device<float>(entry.objective, distill::token_mean{}, in),
                  on_reference(entry.objective, distill::token_mean{}, in));
        }
    });
}

TEST_CASE("sums over the vocabulary on the device have the reference's loss, row losses and gradient") {
    agrees_with_reference(vocabulary_catalogue());
}

TEST_CASE("token terms on the device have the reference's loss, row losses and gradient") {
    agrees_with_reference(token_catalogue());
}

}  // namespace
}  // namespace distill_test
