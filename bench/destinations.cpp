// Does it matter where the gradient goes: elsewhere, in place, added, with the row losses?
#include "workload.hpp"

#include <span>

namespace bench {
namespace {

template <class Objective>
void add_destinations_of(const std::string& name, const Objective& objective) {
    const distill::loss f{objective, distill::eigen{}, distill::token_mean{}};
    const auto with = [&](const std::string& how, const auto& call) {
        add("destination/" + name + ", " + how, [=] {
            auto& w = workload<float>::shared(many_rows, language_model_vocabulary);
            return std::pair(subtraction(many_rows, language_model_vocabulary),
                             [f, &w, call] { benchmark::DoNotOptimize(call(f, w)); });
        });
    };
    with("elsewhere", [](const auto& loss, auto& w) { return loss(w.batch(), w.destination()); });
    with("accumulated", [](const auto& loss, auto& w) { return loss(w.batch(), distill::accumulate(w.destination())); });
    with("per token",
         [](const auto& loss, auto& w) { return loss.per_token(w.batch(), std::span(w.weights), w.destination()); });
    // The gradient becomes the next call's student: it stays finite, and any student costs the same.
    with("in place", [](const auto& loss, auto& w) {
        distill::batch<float> in{.student = {w.gradient.data(), w.rows, w.vocabulary},
                                 .teacher = {w.teacher.data(), w.rows, w.vocabulary}};
        return loss(in, w.destination());
    });
}

}  // namespace

void add_destinations() {
    add_destinations_of("forward_kl", distill::forward_kl{});
    add_destinations_of("reverse_kl", distill::reverse_kl{});
}

}  // namespace bench
