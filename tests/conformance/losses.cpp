#include <distill/distill.hpp>

#include <conformance/losses.hpp>

#include <utility>

namespace conformance {

namespace {

template <class Loss>
class loss_of : public any_loss {
public:
    explicit loss_of(Loss f) : f_(std::move(f)) {}

    distill::loss_result operator()(const distill::batch<float>& in) const override { return f_(in); }
    distill::loss_result operator()(const distill::batch<float>& in, distill::gradient<float> g) const override {
        return f_(in, g);
    }
    distill::loss_result per_token(const distill::batch<float>& in, std::span<float> rows) const override {
        return f_.per_token(in, rows);
    }
    distill::loss_result per_token(const distill::batch<float>& in, std::span<double> rows) const override {
        return f_.per_token(in, rows);
    }
    distill::loss_result per_token(const distill::batch<float>& in, std::span<float> rows,
                                   distill::gradient<float> g) const override {
        return f_.per_token(in, rows, g);
    }
    distill::loss_result per_token(const distill::batch<float>& in, std::span<double> rows,
                                   distill::gradient<float> g) const override {
        return f_.per_token(in, rows, g);
    }

private:
    Loss f_;
};

template <class Objective>
std::unique_ptr<any_loss> on_backend(const Objective& o, const backend& on, distill::token_mean reduction,
                                     distill::temperature t) {
    if (on.simd) {
        const distill::loss f{o, distill::eigen{on.widest}, reduction, t};
        return std::make_unique<loss_of<decltype(f)>>(f);
    }
    const distill::loss f{o, distill::reference{}, reduction, t};
    return std::make_unique<loss_of<decltype(f)>>(f);
}

}  // namespace

const std::vector<backend>& backends() {
    static const std::vector<backend> all = [] {
        using distill::instruction_set;
        std::vector<backend> found{{"reference", false, instruction_set::baseline},
                                   {"eigen, baseline", true, instruction_set::baseline}};
        const instruction_set widest = distill::simd::widest_supported();
        if (widest >= instruction_set::avx2) found.push_back({"eigen, avx2", true, instruction_set::avx2});
        if (widest >= instruction_set::avx512) found.push_back({"eigen, avx512", true, instruction_set::avx512});
        return found;
    }();
    return all;
}

std::string name_of(objective o) {
    switch (o) {
        case objective::forward_kl:
            return "forward_kl";
        case objective::everything:
            return "everything";
        case objective::labels:
            return "cross_entropy";
        case objective::guidance:
            return "tgpo at coefficient 1";
        case objective::surrogate:
            return "tgpo at coefficient 0";
    }
    return "";
}

std::unique_ptr<any_loss> make_loss(objective o, const backend& on, distill::token_mean reduction, distill::temperature t) {
    using namespace distill;
    switch (o) {
        case objective::forward_kl:
            return on_backend(forward_kl{}, on, reduction, t);
        case objective::labels:
            return on_backend(cross_entropy{}, on, reduction, t);
        case objective::guidance:
            return on_backend(tgpo{.coefficient = 1.0}, on, reduction, t);
        case objective::surrogate:
            return on_backend(tgpo{.coefficient = 0.0}, on, reduction, t);
        case objective::everything:
            break;
    }
    return on_backend(0.5 * reverse_kl{} + 0.2 * cross_entropy{} + 0.1 * teacher_guidance{} + 0.6 * clipped_surrogate{} +
                          at_temperature(temperature{2.0, 1.5}, 0.7 * forward_kl{}),
                      on, reduction, t);
}

}  // namespace conformance
