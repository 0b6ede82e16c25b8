// What does an objective cost on the device, with its gradient?
#include "workload.cuh"

#include <distill/composition/tgpo.hpp>
#include <distill/divergence/forward_kl.hpp>
#include <distill/divergence/jensen_shannon.hpp>
#include <distill/divergence/reverse_kl.hpp>
#include <distill/loss.hpp>
#include <distill/reduction/token_sum.hpp>

namespace bench {
namespace {

enum class teacher_tokens { none, given };

template <class Element, class Objective>
void add_objective(const std::string& type, shape s, const std::string& name, const Objective& objective,
                   teacher_tokens tokens = teacher_tokens::none) {
    add(type, s, name, [=](benchmark::State& state) {
        const auto& w = workload<Element>::shared(s);
        distill::batch<Element> in = w.batch();
        if (tokens == teacher_tokens::given) in.teacher_tokens = {w.teacher_tokens.data(), s.rows};
        // A sum over rows: the mean's gradient is too small for half.
        const distill::loss sizing{objective, distill::cuda{}, distill::token_sum{}};
        const device_buffer<unsigned char> memory(sizing.workspace_bytes(in));
        const distill::loss f{objective, distill::cuda{nullptr, {memory.data(), memory.bytes()}}, distill::token_sum{}};
        // With its tokens given, the teacher's logits are not read.
        measure(state, w, tokens == teacher_tokens::given ? 1 : 2, [&] { f(in, w.destination(), w.result.data()); });
    });
}

}  // namespace

template <class Element>
void add_objectives(const std::string& type, shape s) {
    using namespace distill;
    add_objective<Element>(type, s, "forward_kl", forward_kl{});
    add_objective<Element>(type, s, "reverse_kl", reverse_kl{});
    add_objective<Element>(type, s, "jensen_shannon", jensen_shannon{0.5});
    add_objective<Element>(type, s, "three terms", forward_kl{} + reverse_kl{} + jensen_shannon{0.5});
    add_objective<Element>(type, s, "tgpo, teacher tokens", tgpo{}, teacher_tokens::given);
    add_objective<Element>(type, s, "tgpo, argmax", tgpo{});
}

#define DISTILL_INSTANTIATE(Element) template void add_objectives<Element>(const std::string&, shape);
DISTILL_FOR_EACH_ELEMENT(DISTILL_INSTANTIATE)

}  // namespace bench
