// What logits and gradients are stored as, on the CUDA backend.
#include "on_device.hpp"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace distill_test {
namespace {

using namespace distill;

template <class Element>
void holds_for_type(double allowed, double rounding) {
    auto random = engine("cuda: element types");
    const auto holds = [&](const auto& o, const filled_rows& in) {
        for (const placement& logits : {placement{}, placement{3, 1}})
            agree(on_device<Element>(o, token_mean{}, in, {.logits = logits, .gradient = logits}),
                  on_reference(o, token_mean{}, in), allowed, rounding);
    };
    for (const std::size_t vocabulary : {33u, 260u, 3000u, 20000u}) {
        CAPTURE(vocabulary);
        const filled_rows in = stored_rows<Element>(random_rows(random, vocabulary > 10000 ? 1 : 3, vocabulary));
        holds(mixed_objective, in);
        holds(forward_kl{}, in);
        holds(jensen_shannon{}, in);
        holds(teacher_guidance{}, in);
    }
}

TEST_CASE("half and bfloat16 are storage, with one rounding; double is computed in double") {
    holds_for_type<__half>(tolerance::single_loss, 0x1p-11);
    holds_for_type<__nv_bfloat16>(tolerance::single_loss, 0x1p-8);
    holds_for_type<double>(tolerance::rounding, 0.0);
}

TEST_CASE("a gradient beyond the largest half is held at it") {
    filled_rows in{.rows = 1, .vocabulary = 2, .student = {0.0, 0.0}, .teacher = {3.0, -3.0}};
    in.weights = {1e6};
    const device_answer found = on_device<__half>(forward_kl{}, token_sum{}, in);
    CHECK(found.gradient == std::vector<double>{-65504.0, 65504.0});
}

}  // namespace
}  // namespace distill_test
