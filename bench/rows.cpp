// What is the fixed cost of a call, and do masked rows cost anything?
#include "workload.hpp"

namespace bench {

void add_rows() {
    for (const std::size_t vocabulary : {8, 128, 1000, 151936})
        add_gradient("one row/forward_kl, vocabulary " + std::to_string(vocabulary), distill::forward_kl{}, 1, vocabulary,
                     distill::eigen{}, unit::microseconds_per_call);

    for (const int percent : {0, 50, 90})
        add(
            "masks/forward_kl, " + std::to_string(percent) + " % masked",
            [=] {
                auto& w = workload<float>::shared(100, 49152);
                const distill::loss f{distill::forward_kl{}, distill::eigen{}, distill::token_mean{}};
                yardstick y = subtraction(100, 49152);
                y.note = "floor: g = z - w over all rows";
                return std::pair(y, [f, &w, percent] {
                    for (std::size_t row = 0; row < w.rows; ++row)
                        w.weights[row] = row * 37 % 100 < static_cast<std::size_t>(percent) ? 0.0f : 1.0f;
                    auto in = w.batch();
                    in.weights = w.weights;
                    // Adding, since overwriting writes the zeros of masked rows.
                    benchmark::DoNotOptimize(f(in, distill::accumulate(w.destination())));
                });
            },
            unit::microseconds_per_call);
}

}  // namespace bench
