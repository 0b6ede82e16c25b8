// What else could an engineer write? A scalar loop, Eigen's and xtensor's expressions and loops on xsimd, each built as well as
// it can be, LibTorch, and current PyTorch from Python. Every peer's loss and gradient are compared with the library's before
// it is timed, each time between two calls of the library.
#include "peer.hpp"

#include "formulas.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <tuple>

namespace bench {

losses scalar_loop(), scalar_loop_native(), scalar_loop_fast();
losses eigen_expressions(), eigen_expressions_native(), eigen_expressions_fast();
losses xsimd_loops(), xtensor_expressions();

namespace {

// ---- the library, and functions over raw arrays ----

template <class Loss>
class library_peer : public peer {
public:
    explicit library_peer(const Loss& loss) : loss_(loss) {}

    double run(peer_buffers& b) override { return loss_(b.batch(), b.destination()).value; }
    std::string version() override { return {}; }

private:
    Loss loss_;
};

class function_peer : public peer {
public:
    function_peer(loss_and_gradient function, std::string version) : function_(function), version_(std::move(version)) {}

    double run(peer_buffers& b) override {
        return function_({b.student.data(), b.teacher.data(), b.gradient.data(), b.rows, b.vocabulary});
    }
    std::string version() override { return version_; }

private:
    loss_and_gradient function_;
    std::string version_;
};

// ---- comparison, and registration ----

// The larger of the loss's difference from the library's, relative to it, and the gradient's, relative to its norm.
double difference(peer_buffers& b, peer& ours, peer& theirs) {
    const double expected = ours.run(b);
    const std::vector<float> gradient = b.gradient;
    std::ranges::fill(b.gradient, 0.0f);
    const double found = theirs.run(b);
    theirs.fetch_gradient(b);
    double error = 0.0, size = 0.0;
    for (std::size_t i = 0; i < gradient.size(); ++i) {
        const auto d = static_cast<double>(gradient[i]) - static_cast<double>(b.gradient[i]);
        error += d * d;
        size += static_cast<double>(gradient[i]) * static_cast<double>(gradient[i]);
    }
    return std::max(std::abs(found / expected - 1.0), std::sqrt(error / size));
}

using shared_peer = std::shared_ptr<peer>;

template <class Objective>
shared_peer library(const Objective& objective) {
    const distill::loss loss{objective, distill::eigen{}, distill::token_mean{}};
    return std::make_shared<library_peer<std::remove_const_t<decltype(loss)>>>(loss);
}

void add_peer(const std::string& name, const shared_peer& ours, const shared_peer& theirs) {
    benchmark::RegisterBenchmark(("peer/" + name).c_str(), [=](benchmark::State& state) {
        auto& b = peer_buffers::shared(peer_rows, peer_vocabulary);
        constexpr double agreed = 1e-2;  // the textbook's cancellation in fp32 included
        try {
            const double apart = difference(b, *ours, *theirs);
            if (!(apart < agreed))
                throw std::runtime_error("its answer differs from the library's by " + std::to_string(apart));
            state.counters["peak MB"] = theirs->peak(b);
            measure(state, {b.entries(), [&] { benchmark::DoNotOptimize(ours->run(b)); }, theirs->version(), "x distill"},
                    [&] { benchmark::DoNotOptimize(theirs->run(b)); });
        } catch (const std::exception& failure) {
            state.SkipWithError(failure.what());
        }
    })->UseManualTime();
}

// PyTorch, eager and compiled, with both heaps.
void add_pytorch(const std::string& objective, const shared_peer& ours) {
    if (!pytorch_is_missing().empty()) return;
    for (const auto& [way, name] : {std::pair("eager", "PyTorch, eager"), std::pair("compiled", "PyTorch, torch.compile")}) {
        add_peer(objective + ", " + name, ours, pytorch(objective, way, heap::as_it_comes));
        add_peer(objective + ", " + name + ", memory kept", ours, pytorch(objective, way, heap::keeping));
    }
}

void add_libtorch([[maybe_unused]] const std::string& objective, [[maybe_unused]] const shared_peer& ours) {
#if defined(DISTILL_BENCH_LIBTORCH)
    add_peer(objective + ", LibTorch", ours, libtorch(objective));
#endif
}

}  // namespace

void add_peers() {
    using namespace distill;
    if (const std::string why = pytorch_is_missing(); !why.empty()) std::printf("PyTorch is left out: %s\n", why.c_str());
    const std::tuple<std::string, losses, std::string> written[] = {
        {"xsimd loops", xsimd_loops(), DISTILL_BENCH_XSIMD},
        {"Eigen expressions", eigen_expressions_fast(), DISTILL_BENCH_EIGEN},
        {"Eigen expressions", eigen_expressions_native(), DISTILL_BENCH_EIGEN},
        {"Eigen expressions", eigen_expressions(), DISTILL_BENCH_EIGEN},
        {"scalar loop", scalar_loop_fast(), ""},
        {"scalar loop", scalar_loop_native(), ""},
        {"scalar loop", scalar_loop(), ""},
        {"xtensor expressions", xtensor_expressions(), DISTILL_BENCH_XTENSOR " on xsimd"}};
    const auto add_written = [&](const std::string& objective, const shared_peer& ours, loss_and_gradient losses::* which) {
        add_peer(objective + ", distill", ours, ours);
        for (const auto& [name, theirs, version] : written)
            if (theirs.*which != nullptr)
                add_peer(objective + ", " + name + ", " + theirs.flags, ours,
                         std::make_shared<function_peer>(theirs.*which, version));
    };
    const shared_peer forward = library(forward_kl{});
    add_written("forward_kl", forward, &losses::forward_kl);
    add_libtorch("forward_kl", forward);
    add_pytorch("forward_kl", forward);

    const shared_peer jensen = library(jensen_shannon{0.5});
    add_written("jensen_shannon", jensen, &losses::jensen_shannon);
    add_libtorch("jensen_shannon", jensen);
    add_pytorch("jensen_shannon", jensen);

    const std::string name = "0.7 reverse_kl + 0.3 jensen_shannon";
    const shared_peer mixed = library(0.7 * reverse_kl{} + 0.3 * jensen_shannon{0.5});
    add_peer(name + ", distill", mixed, mixed);
    add_pytorch(name, mixed);
}

}  // namespace bench
