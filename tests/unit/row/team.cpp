// Every team is a row::team, and the row program needs nothing else of one. The compiler is the test.
#include <distill/row/team.hpp>

#include <distill/backend/reference.hpp>
#include <distill/backend/simd/team.hpp>
#include <distill/distill.hpp>

#include <array>
#include <cstddef>
#include <type_traits>

namespace {

// What the concept lists and nothing more. Its functions are compiled with the row program; nothing calls them.
struct archetype {
    using number = distill::scalar<double>;
    using real = double;
    struct tile {
        std::ptrdiff_t begin = 0, end = 0;
    };
    struct place {};
    template <class T>
    struct common {
        mutable T value{};
        explicit common(const archetype&) {}
    };

    template <class Body>
    void outlined(const Body& body) const {
        body();
    }
    template <class Body>
    void for_each_tile(std::ptrdiff_t, const Body& body) const {
        body(tile{});
    }
    template <class Body>
    void for_each(const tile&, const Body& body) const {
        body(place{});
    }
    template <std::size_t Count, class Body>
    std::array<double, Count> precise_sum(const tile&, const Body& body) const {
        static_cast<void>(body(place{}));
        return {};
    }
    template <class Element>
    number load(const Element*, const place&) const {
        return {};
    }
    template <class Element>
    void store(Element*, const place&, const number&) const {}
    template <class Element>
    void prefetch_next_tile(const Element*, const place&) const {}
    number active(const place&, const number& x) const { return x; }
    number indices(const place&) const { return {}; }
    double sum(const number&) const { return 0.0; }
    double maximum(const number&) const { return 0.0; }
    double minimum(const number&) const { return 0.0; }
    bool any(bool found) const { return found; }
    void synchronize() const {}
    template <class Body>
    void distribute(std::size_t, const Body& body) const {
        body(std::size_t{});
    }
    double sum_of_threads(double x) const { return x; }
    bool leads() const { return true; }
};

// Of each kind of term one, and one that depends on its row.
const auto every_kind = distill::forward_kl{} + distill::jensen_shannon{} + distill::adaptive_kl{} +
                        distill::cross_entropy{} + distill::top_forward_kl{} + distill::z_loss{} +
                        distill::sampled_guidance{};

template <class Team>
constexpr bool is_team = distill::row::team<Team>;

static_assert(is_team<archetype>);
static_assert(is_team<distill::row::single_lane>);
static_assert(is_team<distill::simd::team<float, 4>> && is_team<distill::simd::team<float, 8>> &&
              is_team<distill::simd::team<float, 16>>);
static_assert(is_team<distill::simd::team<double, 2>> && is_team<distill::simd::team<double, 4>> &&
              is_team<distill::simd::team<double, 8>>);

struct without_sum : archetype {
    double sum(const number&) const = delete;
};
struct sums_in_float : archetype {
    float sum(const number&) const { return 0.0f; }
};
static_assert(!is_team<without_sum> && !is_team<sums_in_float> && !is_team<int>);

// Compiled, and never called.
template <class Gradient>
double loss_of_archetype(const Gradient& gradient) {
    using objective = std::remove_const_t<decltype(every_kind)>;
    const distill::row::row_input<const float*, const float*> input{.student = nullptr, .teacher = nullptr, .vocabulary = 1};
    distill::row::row_program<archetype, objective, const float*, const float*, Gradient> program(
        archetype{}, every_kind, {distill::temperature{}}, input);
    program.set_scan(program.merge(program.scan(), program.scan()));
    return program(gradient).loss;
}

[[maybe_unused]] constexpr auto value_alone = &loss_of_archetype<distill::row::no_gradient>;
[[maybe_unused]] constexpr auto with_gradient = &loss_of_archetype<distill::row::row_gradient<float>>;

}  // namespace
