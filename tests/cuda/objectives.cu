// Every objective of the catalogue on the CUDA backend, against the reference. It may be compiled in parts, which nvcc does side by
// side: part DISTILL_CATALOGUE_PART of DISTILL_CATALOGUE_PARTS has every so-manieth objective.
#include "on_device.hpp"

#include <support/catalogue.hpp>

#include <cstddef>
#include <tuple>
#include <utility>

#ifndef DISTILL_CATALOGUE_PARTS
#define DISTILL_CATALOGUE_PARTS 1
#define DISTILL_CATALOGUE_PART 1
#endif
#define DISTILL_TEXT_OF(number) #number
#define DISTILL_PART_NAME(part, parts) ", part " DISTILL_TEXT_OF(part) " of " DISTILL_TEXT_OF(parts)

namespace distill_test {
namespace {

// nvcc takes no lambda of the host's for a kernel template's argument.
template <class Objective>
inline constexpr bool has_kernel = true;
#if defined(__CUDACC__)
template <class Function>
inline constexpr bool has_kernel<distill::term_from<Function>> = false;
#endif

template <std::size_t Number, class Objective>
void agrees_with_reference(const listed<Objective>& entry, const filled_rows& in) {
    if constexpr (Number % DISTILL_CATALOGUE_PARTS + 1 == DISTILL_CATALOGUE_PART && has_kernel<Objective>) {
        CAPTURE(entry.name);
        agree(on_device<float>(entry.objective, distill::token_mean{}, in),
              on_reference(entry.objective, distill::token_mean{}, in));
    }
}

template <class... Listed>
void all_agree_with_reference(const std::tuple<Listed...>& catalogue) {
    auto random = engine("cuda: objectives");
    filled_rows in = stored_rows<float>(random_rows(random, 5, 333));
    in.weights = {1.0, 0.0, 2.0, 0.5, 1.0};
    [&]<std::size_t... Number>(std::index_sequence<Number...>) {
        (agrees_with_reference<Number>(std::get<Number>(catalogue), in), ...);
    }(std::index_sequence_for<Listed...>{});
}

TEST_CASE("sums over the vocabulary on the device have the reference's loss, row losses and gradient" DISTILL_PART_NAME(
    DISTILL_CATALOGUE_PART, DISTILL_CATALOGUE_PARTS)) {
    all_agree_with_reference(vocabulary_catalogue());
}

TEST_CASE("token terms on the device have the reference's loss, row losses and gradient" DISTILL_PART_NAME(
    DISTILL_CATALOGUE_PART, DISTILL_CATALOGUE_PARTS)) {
    all_agree_with_reference(token_catalogue());
}

}  // namespace
}  // namespace distill_test
