// The backends and the losses that every test of this suite runs: one text, looped at run time.
#pragma once

#include <distill/backend/simd/dispatch.hpp>
#include <distill/core/batch.hpp>
#include <distill/core/gradient.hpp>
#include <distill/core/result.hpp>
#include <distill/core/temperature.hpp>
#include <distill/reduction/token_mean.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace conformance {

// The reference, or Eigen's at one instruction set that this machine supports.
struct backend {
    std::string name;
    bool simd;
    distill::instruction_set widest;
};

const std::vector<backend>& backends();

enum class objective {
    forward_kl,  // its moment is known: two sweeps
    everything,  // three sweeps; terms of every kind, at two temperatures
    labels,      // cross-entropy: reads no teacher
    guidance,    // TGPO at coefficient 1: with advantages of 0, cross-entropy on the teacher's token
    surrogate,   // TGPO at coefficient 0
};

std::string name_of(objective o);
inline const std::vector<objective>& objectives() {
    static const std::vector<objective> all = {objective::forward_kl, objective::everything, objective::labels,
                                               objective::guidance, objective::surrogate};
    return all;
}

// Whether the objective's value and gradient depend on the teacher's logits, given teacher_tokens.
inline bool reads_teacher(objective o) { return o == objective::forward_kl || o == objective::everything; }
inline bool reads_labels(objective o) { return o == objective::everything || o == objective::labels; }

// A loss on float logits, whatever its types.
class any_loss {
public:
    virtual ~any_loss() = default;
    virtual distill::loss_result operator()(const distill::batch<float>&) const = 0;
    virtual distill::loss_result operator()(const distill::batch<float>&, distill::gradient<float>) const = 0;
    virtual distill::loss_result per_token(const distill::batch<float>&, std::span<float>) const = 0;
    virtual distill::loss_result per_token(const distill::batch<float>&, std::span<double>) const = 0;
    virtual distill::loss_result per_token(const distill::batch<float>&, std::span<float>,
                                           distill::gradient<float>) const = 0;
    virtual distill::loss_result per_token(const distill::batch<float>&, std::span<double>,
                                           distill::gradient<float>) const = 0;
};

std::unique_ptr<any_loss> make_loss(objective o, const backend& on, distill::token_mean reduction = {},
                                    distill::temperature t = {});

// Calls test(objective, backend) for every pair.
template <class Test>
void for_each_loss(const Test& test) {
    for (const objective o : objectives())
        for (const backend& b : backends()) {
            const std::string name = name_of(o) + " on " + b.name;
            INFO(name);
            test(o, b);
        }
}

}  // namespace conformance
