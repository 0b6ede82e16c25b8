// What do the elementary functions cost, and how far off are they, beside xsimd's, Highway's, Eigen's and glibc's? Values in
// float are compared with those in double before they are timed, each time between two calls of the library's. The buffers
// stay in the first-level cache.
#include "../peers/formulas.hpp"
#include "../workload.hpp"

#include <cmath>
#include <cstring>
#include <limits>

namespace bench {

functions math_scalar_loop(), math_scalar_loop_fast(), math_eigen_arrays(), math_xsimd_batches(), math_highway_vectors();

namespace {

constexpr std::size_t count = 2048;

// ---- the library's, on the widest instruction set of the machine ----

enum class function { exp, log, expm1 };

template <function Which>
struct loop {
    const float* x;
    float* y;
    std::size_t length;

    template <int Bytes>
    DISTILL_INLINE void operator()() const {
        constexpr std::size_t width = static_cast<std::size_t>(Bytes) / sizeof(float);
        for (std::size_t i = 0; i < length; i += width) {
            distill::simd::pack<float, static_cast<int>(width)> value;
            std::memcpy(&value.lanes, x + i, sizeof value.lanes);
            if constexpr (Which == function::exp) value = exp(value);
            if constexpr (Which == function::log) value = log(value);
            if constexpr (Which == function::expm1) value = expm1(value);
            std::memcpy(y + i, &value.lanes, sizeof value.lanes);
        }
    }
};

template <function Which>
void of_library(const float* x, float* y, std::size_t length) {
    distill::simd::dispatch(distill::instruction_set::avx512, loop<Which>{x, y, length});
}

// ---- what is compared ----

struct arguments {
    std::vector<float> x, y;

    arguments(float least, float greatest) : x(count), y(count) {
        std::mt19937 random(20260513);
        std::uniform_real_distribution<float> between(least, greatest);
        for (float& value : x) value = between(random);
    }
};

// The largest error, in units in the last place of the right value.
double worst_ulp(const arguments& a, double (*exact)(double)) {
    double worst = 0.0;
    for (std::size_t i = 0; i < count; ++i) {
        const double right = exact(static_cast<double>(a.x[i]));
        const double ulp = std::ldexp(static_cast<double>(std::numeric_limits<float>::epsilon()), std::ilogb(right));
        worst = std::max(worst, std::abs(static_cast<double>(a.y[i]) - right) / ulp);
    }
    return worst;
}

void add_function(const std::string& name, elementwise ours, elementwise theirs, double (*exact)(double), float least,
                  float greatest) {
    benchmark::RegisterBenchmark(("math/" + name).c_str(), [=](benchmark::State& state) {
        arguments a(least, greatest);
        theirs(a.x.data(), a.y.data(), count);
        constexpr double agreed = 64.0;
        const double error = worst_ulp(a, exact);
        if (!(error < agreed)) {
            state.SkipWithError(("its values are off by " + std::to_string(error) + " ulp").c_str());
            return;
        }
        state.counters["worst ulp"] = error;
        measure(state, {count, [&] { ours(a.x.data(), a.y.data(), count); }, {}, "x distill"},
                [&] { theirs(a.x.data(), a.y.data(), count); });
    })->UseManualTime();
}

}  // namespace

void add_math() {
    const std::pair<std::string, functions> all[] = {
        {"distill",
         {DISTILL_BENCH_FLAGS, of_library<function::exp>, of_library<function::log>, of_library<function::expm1>}},
        {"xsimd", math_xsimd_batches()},
        {"Highway", math_highway_vectors()},
        {"Eigen", math_eigen_arrays()},
        {"scalar loop", math_scalar_loop()},
        {"scalar loop", math_scalar_loop_fast()}};
    const auto add_all = [&](const std::string& name, elementwise functions::* which, double (*exact)(double), float least,
                             float greatest) {
        for (const auto& [who, theirs] : all)
            add_function(name + ", " + who + ", " + theirs.flags, all[0].second.*which, theirs.*which, exact, least,
                         greatest);
    };
    add_all("exp", &functions::exp, [](double x) { return std::exp(x); }, -20.0f, 0.0f);
    add_all("log", &functions::log, [](double x) { return std::log(x); }, 1e-6f, 1.0f);
    add_all("expm1", &functions::expm1, [](double x) { return std::expm1(x); }, -1.0f, 1.0f);
}

}  // namespace bench
