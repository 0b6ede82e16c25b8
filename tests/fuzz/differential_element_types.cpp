// A few objectives on 16-bit logits, on every instruction set.
#include <fuzz/composed.hpp>

namespace fuzz {

namespace {

using Eigen::bfloat16;
using Eigen::half;

constexpr auto mixed = [](const parameters& p) { return p.weight[0] * jensen_shannon(p.share[0]) + cross_entropy(); };
constexpr auto two_ways = [](const parameters& p) { return p.weight[0] * forward_kl() + p.weight[1] * reverse_kl(); };

constexpr compiled table[] = {
    entry<half>("half", mixed),
    entry<bfloat16>("bfloat16", two_ways),
    entry<half, bfloat16, float>("half, bfloat16 to float", [](const parameters&) { return reverse_kl(); }),
    entry<float, half, half>("float, half to half", [](const parameters& p) { return p.weight[0] * squared_hellinger(); }),
};

}  // namespace

std::span<const compiled> of_element_types() { return table; }

}  // namespace fuzz
