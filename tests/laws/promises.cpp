// What a term promises of its sum saves a sweep and changes no result.
#include "subject.hpp"

#include <doctest/doctest.h>

namespace distill_test {
namespace {

using namespace distill;

struct reverse_kl_without_promise : term<reverse_kl_without_promise> {
    template <class T>
    constexpr summand<T> operator()(const entry<T>& e) const {
        return reverse_kl{}(e);
    }
};
struct forward_kl_without_promise : term<forward_kl_without_promise> {
    template <class T>
    constexpr summand<T> operator()(const entry<T>& e) const {
        return forward_kl{}(e);
    }
};
static_assert(known_to_sum_to_reverse_kl<reverse_kl>() && !known_to_sum_to_reverse_kl<reverse_kl_without_promise>());
static_assert(known_to_sum_to_zero<forward_kl>() && !known_to_sum_to_zero<forward_kl_without_promise>());

template <class Promised, class Unpromised>
void check_same(const Promised& promised, const Unpromised& unpromised, const filled_rows& in, const temperature& t) {
    const answer expected = evaluate<double>(unpromised, reference{}, in, t);
    for (const answer& found :
         {evaluate<double>(promised, reference{}, in, t), evaluate<double>(promised, eigen{}, in, t)}) {
        CHECK(deviation(found.row_losses, expected.row_losses) <= tolerance::rounding);
        CHECK(deviation(found.gradient, expected.gradient) <= tolerance::rounding);
    }
}

TEST_CASE("a promise that holds changes no loss and no gradient: alone, in sums, beside tokens, at two temperatures") {
    auto random = engine("laws: promises");
    for (const std::size_t vocabulary : {1u, 5u, 33u, 3000u}) {
        CAPTURE(vocabulary);
        const filled_rows in = random_rows(random, 3, vocabulary);
        for (const temperature& t : {temperature{}, temperature{2.0}, temperature{0.7, 1.8}}) {
            check_same(reverse_kl{}, reverse_kl_without_promise{}, in, t);
            check_same(0.3 * reverse_kl{} + -1.5 * forward_kl{},
                       0.3 * reverse_kl_without_promise{} + -1.5 * forward_kl_without_promise{}, in, t);
            check_same(0.5 * reverse_kl{} + 0.2 * cross_entropy{} + 2.0 * reverse_kl{},
                       0.5 * reverse_kl_without_promise{} + 0.2 * cross_entropy{} + 2.0 * reverse_kl_without_promise{}, in,
                       t);
        }
    }
}

}  // namespace
}  // namespace distill_test
