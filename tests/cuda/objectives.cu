// Every objective of the catalogue on the CUDA backend, against the reference.
#include "on_device.hpp"

#include <support/catalogue.hpp>

namespace distill_test {
namespace {

template <class Catalogue>
void agrees_with_reference(const Catalogue& catalogue) {
    auto random = engine("cuda: objectives");
    filled_rows in = stored_rows<float>(random_rows(random, 5, 333));
    in.weights = {1.0, 0.0, 2.0, 0.5, 1.0};
    std::apply(
        [&](const auto&... entry) {
            const auto one = [&](const auto& e) {
                CAPTURE(e.name);
                agree(on_device<float>(e.objective, distill::token_mean{}, in),
                      on_reference(e.objective, distill::token_mean{}, in));
            };
            (one(entry), ...);
        },
        catalogue);
}

TEST_CASE("sums over the vocabulary on the device have the reference's loss, row losses and gradient") {
    agrees_with_reference(vocabulary_catalogue());
}

TEST_CASE("token terms on the device have the reference's loss, row losses and gradient") {
    agrees_with_reference(token_catalogue());
}

}  // namespace
}  // namespace distill_test
