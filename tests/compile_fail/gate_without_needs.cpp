// A gate says what it reads: without the teacher's logits it must not be asked about them.
#include <distill/divergence/forward_kl.hpp>
#include <distill/objective/where.hpp>

struct mine {
#if defined(DISTILL_TEST_GOOD_TWIN)
    static constexpr distill::fields needs = distill::fields::none;
#endif

    template <class Row>
    constexpr double operator()(const Row& row) const {
        return row.sum([](const auto& e) { return e.p * e.p; });
    }
};

// expect: distill: a gate is called as gate(row) const, answers a number, and says in `static constexpr fields needs` what it reads of the batch
[[maybe_unused]] const auto objective = distill::where(mine{}, distill::forward_kl{});
