// What a call owes to one row, in long double, as docs/objectives.md and docs/contracts.md define it. No header of the
// library is read here, and no formula is regrouped but where the documentation prints it so.
//
// Beside every number is its bound: how far an implementation may be off. The model, in one place: logits of the type
// computed in, with unit roundoff u, give
//     log p        to  slack u (1 + X),          X = |z - max z| / T: the difference is exact or rounded once, and scaled
//     log p - log q  to  slack u (1 + |log p - log q| + min(X, Y))
//     any term     to  slack u of what it adds up
// and these errors go through the terms as the terms' own slopes carry them: a bound is the change of the exact function
// under such changes of its arguments. Nothing depends on the level at which a row's logits stand.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace oracle {

using real = long double;

inline constexpr real slack = 16.0L;
inline constexpr real floor_of_logs = -1e6L;
inline constexpr real smallest_outside = 1e-7L;
inline constexpr real guard = 20.0L;
inline constexpr real largest_log_ratio_of_chi_squared = 40.0L;

// batch.labels masks rows of objectives that do not read labels, too.
inline constexpr bool labels_mask_every_objective = true;

// -------------------------------------------------------------------------------------------------------- what is computed

enum class kind {
    forward_kl,
    reverse_kl,
    jensen_shannon,
    total_variation,
    squared_hellinger,
    skew_forward_kl,
    skew_reverse_kl,
    chi_squared,
    alpha_beta,
    todi,
    adaptive_kl,
    entropy,
    uniform_cross_entropy,
    jeffreys,         // a user's: sum (p - q) (log p - log q)
    half_square_log,  // a user's: sum p (log p - log q)^2 / 2
    // at one token
    cross_entropy,
    teacher_guidance,
    policy_gradient,
    kl_estimator,
    log_ratio_advantage,
    centered_log_ratio_advantage,
    power_advantage,
    mixture_advantage,
    clipped_surrogate,
    clipped_importance,
    sequence_surrogate,
    sampled_guidance,
    // of the teacher's most probable tokens
    on_top_tokens,
    top_forward_kl,
    // of the student's normaliser
    z_loss
};

constexpr bool is_vocabulary(kind k) { return k < kind::cross_entropy; }
constexpr bool is_token(kind k) { return k >= kind::cross_entropy && k < kind::on_top_tokens; }
constexpr bool is_set(kind k) { return k == kind::on_top_tokens || k == kind::top_forward_kl; }
constexpr bool is_divergence(kind k) {
    return (is_vocabulary(k) && k != kind::entropy && k != kind::uniform_cross_entropy) || k == kind::on_top_tokens;
}

struct gate {
    bool of_teacher = false;
    double nats = 0.0;
};

struct term {
    kind what{};
    double a = 0.0, b = 0.0, c = 0.0;  // its parameters, in the order of the documentation
    bool with_ratio = false, drops = false;
    int value = 1, gradient = 2;    // of kl_estimator
    int truncation = 0;             // of top_forward_kl
    kind inner = kind::forward_kl;  // of on_top_tokens
    double weight = 1.0;
    bool per_row = false;
    std::vector<gate> gates{};
};

struct temperature {
    double student = 1.0, teacher = 1.0;
};

struct group {
    std::optional<temperature> own{};
    std::vector<term> terms{};
};

struct objective {
    std::vector<group> groups{};

    [[nodiscard]] bool any(bool (*holds)(const term&)) const {
        return std::ranges::any_of(groups, [&](const group& g) { return std::ranges::any_of(g.terms, holds); });
    }
};

// A token term of coefficient 0 asks for nothing.
inline bool reads_labels(const objective& o) {
    return o.any([](const term& t) { return t.what == kind::cross_entropy && t.weight != 0.0; });
}

// The algebra of objectives.
inline objective single(const term& t) { return {{group{std::nullopt, {t}}}}; }
inline objective operator*(double factor, objective o) {
    for (group& g : o.groups)
        for (term& t : g.terms) t.weight *= factor;
    return o;
}
inline objective operator+(objective a, const objective& b) {
    a.groups.insert(a.groups.end(), b.groups.begin(), b.groups.end());
    return a;
}
inline objective per_row(objective o) {
    for (group& g : o.groups)
        for (term& t : g.terms) t.per_row = true;
    return o;
}
inline objective where(const gate& opens, objective o) {
    for (group& g : o.groups)
        for (term& t : g.terms) t.gates.push_back(opens);
    return o;
}
inline objective at_temperature(const temperature& own, objective o) {
    for (group& g : o.groups)
        if (!g.own) g.own = own;
    return o;
}

// ----------------------------------------------------------------------------------------------------------------- one row

struct row {
    std::vector<real> z{}, w{};  // as stored; w is empty where there is no teacher
    double student_cap = 0.0, teacher_cap = 0.0;
    temperature loss_temperature{};
    double temperature_factor = 1.0, coefficient = 1.0;
    std::optional<std::int64_t> token{}, teacher_token{}, label{}, drawn{};
    std::optional<double> advantage{}, old_log_prob{}, teacher_log_prob{}, sequence_log_ratio{};
    std::vector<std::int64_t> top{};  // without empty places
    std::vector<real> top_log_probs{};
    real unit = 0x1p-24L;       // roundoff of the type computed in
    real smallest = 0x1p-126L;  // its smallest normal number
};

// `any`: the documentation leaves it open, as where a gate's threshold is within rounding, or a number overflows.
enum class verdict { number, not_finite, any };

struct answer {
    verdict is = verdict::number;
    real loss = 0.0L, loss_bound = 0.0L;
    std::vector<real> gradient{}, gradient_bound{};
    real sum = 0.0L, sum_bound = 0.0L;  // of the gradient over the row
    bool never_negative = false;
    real largest_factor = 0.0L;    // coefficient / T of a term, or a group's H / T
    int clipped = 0, guarded = 0;  // -1: either
};

namespace detail {

struct side {
    std::vector<real> log_p{}, p{}, distance{};  // distance: X
    std::vector<char> absent{};                  // masked
    real log_normalizer = 0.0L, largest = 0.0L, smallest_p = 0.0L;
    std::size_t unmasked = 0;
};

inline bool is_masked_logit(real x) { return x <= -0x1p100L; }

inline bool has_no_softmax(const std::vector<real>& logits) {
    bool all = true;
    for (const real x : logits) {
        if (std::isnan(x) || (std::isinf(x) && x > 0.0L)) return true;
        all = all && is_masked_logit(x);
    }
    return all;
}

inline real capped(real x, double cap) { return cap == 0.0 ? x : cap * std::tanh(x / cap); }

inline side softmax(const std::vector<real>& logits, real temperature, double cap) {
    side s;
    const std::size_t n = logits.size();
    s.log_p.resize(n), s.p.resize(n), s.distance.resize(n), s.absent.resize(n);
    real most = -std::numeric_limits<real>::infinity();
    for (std::size_t v = 0; v < n; ++v) {
        s.absent[v] = is_masked_logit(logits[v]);
        if (!s.absent[v]) most = std::max(most, logits[v]), ++s.unmasked;
    }
    const real top = capped(most, cap);
    real sum = 0.0L;
    for (std::size_t v = 0; v < n; ++v) {
        if (s.absent[v]) continue;
        // Where a cap flattens the logits, the distance of two of them keeps the rounding of both.
        const real x = capped(logits[v], cap), gap = (x - top) / temperature;
        s.distance[v] = -gap + (cap != 0.0 ? (std::abs(x) + std::abs(top)) / temperature : 0.0L);
        s.p[v] = std::exp(gap);
        s.log_p[v] = gap;
        sum += s.p[v];
    }
    const real log_sum = std::log(sum);
    for (std::size_t v = 0; v < n; ++v) {
        s.p[v] /= sum;
        s.log_p[v] = s.absent[v] ? floor_of_logs : std::max(s.log_p[v] - log_sum, floor_of_logs);
        s.distance[v] = std::min(s.distance[v], -floor_of_logs);
    }
    s.log_normalizer = top / temperature + log_sum;
    s.largest = std::abs(top / temperature);
    return s;
}

// One entry as a term sees it.
struct pair {
    real p, log_p, q, log_q, log_ratio;
    bool no_p, no_q;  // masked
    real share;       // of the row: 1 / N
};

struct summand {
    real value, h;
};

inline real power(real log_x, bool zero, real exponent) {
    if (exponent == 0.0L) return 1.0L;
    return zero ? 0.0L : std::exp(exponent * log_x);
}
inline real times_log(real x, real log_y) { return x == 0.0L ? 0.0L : x * log_y; }

inline summand alpha_beta(const pair& e, real a, real b) {
    const bool no_p = e.no_p, no_q = e.no_q;
    if (no_p && no_q) return {0.0L, 0.0L};
    const real pa = power(e.log_p, no_p, a), pb = power(e.log_p, no_p, b), qa = power(e.log_q, no_q, a),
               qb = power(e.log_q, no_q, b);
    const real y = e.log_ratio;
    if (a == 0.0L && b == 0.0L) return {0.5L * y * y, y};
    if (a == 0.0L) return {times_log(pb, y) / b + (qb - pb) / (b * b), times_log(pb, y)};
    if (b == 0.0L) return {-times_log(qa, y) / a + (pa - qa) / (a * a), (pa - qa) / a};
    const real s = a + b, ps = power(e.log_p, no_p, s), qs = power(e.log_q, no_q, s);
    if (no_p || no_q) return {-(qa * pb - a / s * qs - b / s * ps) / (a * b), (ps - qa * pb) / a};
    // The same, with the common factor taken out: in long double exponents near 0 need it.
    const real value = qs * (b / s * std::expm1(s * y) - std::expm1(b * y)) / (a * b);
    return {value, qa * pb * std::expm1(a * y) / a};
}

inline summand evaluate(const term& t, kind what, const pair& e, real adaptive_weight) {
    const real p = e.p, q = e.q, y = e.log_ratio, a = t.a;
    switch (what) {
        case kind::forward_kl:
            return {-times_log(q, y), p - q};
        case kind::reverse_kl:
            return {times_log(p, y), times_log(p, y)};
        case kind::jensen_shannon: {
            const real m = a * q + (1.0L - a) * p;
            const real of_p = p == 0.0L ? 0.0L : p * std::log(p / m), of_q = q == 0.0L ? 0.0L : q * std::log(q / m);
            return {a * of_q + (1.0L - a) * of_p, (1.0L - a) * of_p};
        }
        case kind::total_variation:
            return {0.5L * std::abs(p - q), 0.5L * p * (p > q ? 1.0L : p < q ? -1.0L : 0.0L)};
        case kind::squared_hellinger: {
            const real d = std::sqrt(p) - std::sqrt(q);
            return {0.5L * d * d, 0.5L * std::sqrt(p) * d};
        }
        case kind::skew_forward_kl: {
            const real m = a * q + (1.0L - a) * p;
            return {q == 0.0L ? 0.0L : q * std::log(q / m), p == 0.0L ? 0.0L : (1.0L - a) * (p - p * q / m)};
        }
        case kind::skew_reverse_kl: {
            const real m = (1.0L - a) * q + a * p;
            const real of_p = p == 0.0L ? 0.0L : p * std::log(p / m);
            return {of_p, p == 0.0L ? 0.0L : of_p + a * p * (1.0L - p / m)};
        }
        case kind::chi_squared: {
            const real ratio = std::exp(std::min(y, largest_log_ratio_of_chi_squared));
            return {(p - q) * (ratio - 1.0L), 2.0L * p * (ratio - 1.0L)};
        }
        case kind::alpha_beta:
            return alpha_beta(e, a, t.b);
        case kind::todi: {
            if (p == 0.0L && q == 0.0L) return {0.0L, 0.0L};
            const real share = q / (p + q);
            return {-share * times_log(q, y) + (1.0L - share) * times_log(p, y), p - q + (1.0L - share) * times_log(p, y)};
        }
        case kind::adaptive_kl:
            return {-adaptive_weight * times_log(q, y) + (1.0L - adaptive_weight) * times_log(p, y),
                    adaptive_weight * (p - q) + (1.0L - adaptive_weight) * times_log(p, y)};
        case kind::entropy:
            return {-times_log(p, e.log_p), -times_log(p, e.log_p + 1.0L)};
        case kind::uniform_cross_entropy:
            return {e.no_p ? 0.0L : -e.log_p * e.share, e.no_p ? 0.0L : -e.share};
        case kind::jeffreys:
            return {(p - q) * y, p - q + times_log(p, y)};
        case kind::half_square_log:
            return {0.5L * times_log(p, y * y), times_log(p, 0.5L * y * y + y)};
        default:
            return {0.0L, 0.0L};
    }
}

// A number and its bound.
struct bounded {
    real value = 0.0L, bound = 0.0L;
};

// w of adaptive_kl: the share of sum |q - p| on the teacher's head. Everything within rounding of the head's edge may be in
// it.
inline bounded share_of_head(const side& p, const side& q, real head_mass, const std::vector<real>& error, real unit) {
    // "At mu = 1 it is forward_kl."
    if (head_mass == 1.0L) return {1.0L, 0.0L};
    std::vector<std::size_t> order(q.p.size());
    for (std::size_t v = 0; v < order.size(); ++v) order[v] = v;
    std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return q.p[a] > q.p[b]; });
    const real near = 4e-6L + 64.0L * unit;
    real all = 0.0L, all_error = 0.0L;
    for (const std::size_t v : order) all += std::abs(q.p[v] - p.p[v]), all_error += error[v];
    const auto share_at = [&](real mass_allowed, real tie) {
        real mass = 0.0L, inside = 0.0L;
        std::size_t i = 0;
        bool first = true;
        while (i < order.size()) {
            std::size_t end = i;
            real of_ties = 0.0L, gap = 0.0L;
            // Tokens of one probability are in the head together or not at all.
            while (end < order.size() && q.p[order[end]] >= q.p[order[i]] * (1.0L - tie)) {
                of_ties += q.p[order[end]];
                gap += std::abs(q.p[order[end]] - p.p[order[end]]);
                ++end;
            }
            if (!first && mass + of_ties > mass_allowed) break;
            mass += of_ties, inside += gap;
            first = false;
            i = end;
        }
        return inside;
    };
    const real shares[] = {
        share_at(head_mass, 0.0L), share_at(head_mass * (1.0L - near), 0.0L), share_at(head_mass * (1.0L + near), 0.0L),
        share_at(head_mass, near), share_at(head_mass * (1.0L - near), near), share_at(head_mass * (1.0L + near), near)};
    const auto [least, most] = std::ranges::minmax(shares);
    if (all <= 0.0L) return {0.5L, 0.5L};
    const real w = shares[0] / all;
    return {w, std::min(1.0L, (most - least) / all + 2.0L * all_error / all)};
}

// What a token term answers at one log p, and where a clip or a guard holds.
struct token_summand {
    real value, h;
    bool clipped = false, guarded = false;
};

struct token_numbers {
    real log_p, log_q, old, advantage, sequence_log_ratio, reverse_kl;
};

inline token_summand clipped_ratio(const term& t, real log_ratio, real advantage) {
    const bool guarded = std::abs(log_ratio) > guard;
    const real r = std::exp(std::clamp(log_ratio, -guard, guard)), held = std::clamp(r, real(t.a), real(t.b));
    bool clipped = held * advantage < r * advantage;
    real value = -std::min(r * advantage, held * advantage);
    if (t.c > 0.0 && advantage < 0.0L && value > -t.c * advantage) value = -t.c * advantage, clipped = true;
    return {value, clipped || guarded ? 0.0L : -r * advantage, clipped, guarded};
}

inline token_summand evaluate(const term& t, const token_numbers& n) {
    const real behaviour = t.with_ratio ? n.old : n.log_p;
    // Where the guard holds the ratio it is constant.
    const auto slope_of = [&](real value) { return t.with_ratio && std::abs(n.log_p - n.old) > guard ? 0.0L : value; };
    const real r = t.with_ratio ? std::exp(std::clamp(n.log_p - n.old, -guard, guard)) : 1.0L;
    const bool ratio_guarded = t.with_ratio && std::abs(n.log_p - n.old) > guard;
    switch (t.what) {
        case kind::cross_entropy:
        case kind::teacher_guidance:
        case kind::sampled_guidance:
            return {-n.log_p, -1.0L};
        case kind::policy_gradient:
            return {-n.advantage * n.log_p, -n.advantage};
        case kind::kl_estimator: {
            const real l = std::clamp(n.log_q - n.log_p, -guard, guard);
            const real value = t.value == 1 ? -l : t.value == 2 ? 0.5L * l * l : std::expm1(l) - l;
            return {value, t.gradient == 2 ? -l : -std::expm1(l), false, std::abs(n.log_q - n.log_p) > guard};
        }
        case kind::log_ratio_advantage: {
            const real l = n.log_q - behaviour;
            const bool outside = l < t.a || l > t.b;
            const real advantage = outside && t.drops ? 0.0L : std::clamp(l, real(t.a), real(t.b));
            return {-r * advantage, slope_of(-r * advantage), false, outside || ratio_guarded};
        }
        case kind::centered_log_ratio_advantage: {
            const real l = std::clamp(n.log_q - n.log_p, -guard, guard);
            return {-l, -(l + n.reverse_kl), false, std::abs(n.log_q - n.log_p) > guard};
        }
        case kind::power_advantage: {
            const real advantage = std::exp(t.a * std::min(n.log_q, 0.0L)) - std::exp(t.a * behaviour);
            return {-r * advantage, slope_of(-r * advantage), false, ratio_guarded};
        }
        case kind::mixture_advantage: {
            const real l = n.log_q - behaviour;
            const real advantage = std::log(t.a * std::exp(std::min(l, guard)) + 1.0L - t.a);
            return {-r * advantage, slope_of(-r * advantage), false, l > guard || ratio_guarded};
        }
        case kind::clipped_surrogate:
            return clipped_ratio(t, n.log_p - n.old, n.advantage);
        case kind::sequence_surrogate:
            return clipped_ratio(t, n.sequence_log_ratio, n.advantage);
        case kind::clipped_importance: {
            const real l = n.log_p - n.old, ratio = std::exp(std::clamp(l, -guard, guard));
            const real c = std::clamp(ratio, real(t.a), real(t.b));
            return {-c * n.advantage * n.log_p, -c * n.advantage, ratio < t.a || ratio > t.b, std::abs(l) > guard};
        }
        default:
            return {0.0L, 0.0L};
    }
}

// The entropy of one side, in nats.
inline bounded entropy_of(const side& s, real unit) {
    bounded found;
    for (std::size_t v = 0; v < s.p.size(); ++v) {
        const real summand = -times_log(s.p[v], s.log_p[v]);
        found.value += summand;
        found.bound += slack * unit * (summand * (1.0L + s.distance[v]) + s.p[v] * (1.0L + s.distance[v]));
    }
    return found;
}

// What one objective makes of one row, group by group.
class computation {
public:
    computation(const objective& o, const row& in) : objective_(o), in_(in), unit_(slack * in.unit) {}

    answer run() {
        const std::size_t n = in_.z.size();
        out_.gradient.assign(n, 0.0L), out_.gradient_bound.assign(n, 0.0L);
        // "A row that is -inf everywhere, or holds +inf or NaN": the teacher's where it is read.
        if (has_no_softmax(in_.z)) return not_finite();
        const int broken = numbers_that_break();
        if (broken == 2) return not_finite();
        if (broken == 1) return open();
        bool divergences = true;
        for (const group& g : objective_.groups) {
            for (const term& t : g.terms)
                divergences =
                    divergences && is_divergence(t.what) && t.weight >= 0.0 && (!t.per_row || in_.coefficient >= 0.0);
            if (!add(g)) return open();
        }
        out_.never_negative = divergences;
        if (in_.student_cap != 0.0) chain_of_cap();
        if (!std::isfinite(out_.loss) || !std::isfinite(out_.loss_bound)) return open();
        return out_;
    }

private:
    answer not_finite() {
        out_.is = verdict::not_finite;
        return out_;
    }
    answer open() {
        out_.is = verdict::any;
        return out_;
    }

    [[nodiscard]] temperature of(const group& g) const {
        if (g.own) return *g.own;
        return {in_.loss_temperature.student * in_.temperature_factor,
                in_.loss_temperature.teacher * in_.temperature_factor};
    }
    [[nodiscard]] bool reads_teacher_for_token(const term& t) const {
        switch (t.what) {
            case kind::teacher_guidance:
                return !in_.teacher_token;
            case kind::kl_estimator:
            case kind::log_ratio_advantage:
            case kind::power_advantage:
            case kind::mixture_advantage:
                return !in_.teacher_log_prob;
            case kind::centered_log_ratio_advantage:
            case kind::sampled_guidance:
                return true;
            default:
                return false;
        }
    }

    // 0: every number that is read is finite; 2: one is not; 1: one that only a term without weight in this row reads.
    [[nodiscard]] int numbers_that_break() const {
        const bool teacher_broken = !in_.w.empty() && has_no_softmax(in_.w);
        const auto bad = [](const std::optional<double>& x) { return x && !std::isfinite(*x); };
        // -inf is the log-probability of an impossible token.
        const auto bad_log = [](const std::optional<double>& x) {
            return x && (std::isnan(*x) || (std::isinf(*x) && *x > 0.0));
        };
        int found = 0;
        for (const group& g : objective_.groups)
            for (const term& t : g.terms) {
                const bool vocabulary =
                    is_vocabulary(t.what) && t.what != kind::entropy && t.what != kind::uniform_cross_entropy;
                bool breaks = teacher_broken && (vocabulary || reads_teacher_for_token(t));
                for (const gate& opens : t.gates) breaks = breaks || (teacher_broken && opens.of_teacher);
                const bool has_advantage = t.what == kind::policy_gradient || t.what == kind::clipped_surrogate ||
                                           t.what == kind::clipped_importance || t.what == kind::sequence_surrogate;
                const bool has_old = t.what == kind::clipped_surrogate || t.what == kind::clipped_importance || t.with_ratio;
                const bool has_teacher_log = t.what == kind::kl_estimator || t.what == kind::log_ratio_advantage ||
                                             t.what == kind::power_advantage || t.what == kind::mixture_advantage ||
                                             t.what == kind::centered_log_ratio_advantage;
                breaks = breaks || (has_advantage && bad(in_.advantage)) || (has_old && bad_log(in_.old_log_prob)) ||
                         (has_teacher_log && bad_log(in_.teacher_log_prob)) ||
                         (t.what == kind::sequence_surrogate && bad_log(in_.sequence_log_ratio));
                if (is_set(t.what))
                    for (const real x : in_.top_log_probs) breaks = breaks || std::isnan(x) || (std::isinf(x) && x > 0.0L);
                const bool factor_breaks = t.per_row && !std::isfinite(in_.coefficient);
                if (factor_breaks) found = std::max(found, t.weight != 0.0 ? 2 : 1);
                if (!breaks) continue;
                const bool counts = t.weight != 0.0 && (!t.per_row || in_.coefficient != 0.0) && t.gates.empty();
                found = std::max(found, counts ? 2 : 1);
            }
        return found;
    }

    // Adds one group's terms. False where the documentation leaves the row open.
    bool add(const group& g) {
        const temperature t = of(g);
        const std::size_t n = in_.z.size();
        const side p = softmax(in_.z, t.student, in_.student_cap);
        side q;
        const bool has_teacher = !in_.w.empty() && !has_no_softmax(in_.w);
        if (has_teacher) q = softmax(in_.w, t.teacher, in_.teacher_cap);
        // The errors of log p, log q and their difference.
        std::vector<real> log_ratio(n), error_p(n), error_q(n), error_ratio(n), error_gap(n);
        for (std::size_t v = 0; v < n; ++v) {
            error_p[v] = unit_ * (1.0L + p.distance[v]);
            if (!has_teacher) continue;
            error_q[v] = unit_ * (1.0L + q.distance[v]);
            log_ratio[v] = p.log_p[v] - q.log_p[v];
            // With a cap, each side keeps the rounding of its own logits; with two temperatures, that of its own scale.
            const bool one_scale = t.student == t.teacher && in_.student_cap == 0.0 && in_.teacher_cap == 0.0;
            const real own = one_scale ? std::min(p.distance[v], q.distance[v]) : p.distance[v] + q.distance[v];
            error_ratio[v] = unit_ * (1.0L + std::abs(log_ratio[v]) + own);
            // "about 10^6 times the mass at fault": whether the other logarithm is taken off it is not said.
            if (p.log_p[v] <= floor_of_logs) error_ratio[v] += std::abs(q.log_p[v]);
            if (q.log_p[v] <= floor_of_logs) error_ratio[v] += std::abs(p.log_p[v]);
            if (p.log_p[v] <= floor_of_logs && q.log_p[v] <= floor_of_logs) error_ratio[v] = unit_;
            error_gap[v] = std::max(p.p[v], q.p[v]) * error_ratio[v] + std::abs(p.p[v] - q.p[v]) * error_p[v];
        }

        std::vector<real> h(n), h_bound(n);
        real total = 0.0L, total_bound = 0.0L, total_size = 0.0L;  // H
        for (const term& one : g.terms) {
            real factor = one.weight * (one.per_row ? in_.coefficient : 1.0);
            for (const gate& opens : one.gates) {
                if (opens.of_teacher && !has_teacher) return false;
                const bounded found = entropy_of(opens.of_teacher ? q : p, in_.unit);
                if (std::abs(found.value - opens.nats) <= found.bound) return false;
                if (!(found.value > opens.nats)) factor = 0.0L;
            }
            if (factor == 0.0L) continue;
            out_.largest_factor = std::max(out_.largest_factor, std::abs(factor) / std::min(1.0L, real(t.student)));
            if (is_vocabulary(one.what)) {
                if (!add_vocabulary(one, factor, p, q, has_teacher, log_ratio, error_p, error_q, error_ratio, error_gap, h,
                                    h_bound, total, total_bound, total_size))
                    return false;
            } else if (is_token(one.what)) {
                if (!add_token(one, factor, p, q, has_teacher, t, log_ratio, error_p, error_ratio)) return false;
            } else if (is_set(one.what)) {
                if (!add_set(one, factor, p, t, error_p)) return false;
            } else {
                const real z = p.log_normalizer, error = unit_ * (1.0L + p.largest);
                out_.loss += factor * z * z;
                out_.loss_bound += std::abs(factor) * (2.0L * std::abs(z) * error + error * error + unit_ * z * z);
                for (std::size_t v = 0; v < n; ++v)
                    add_gradient(v, factor * 2.0L * z * p.p[v] / t.student,
                                 std::abs(factor) * 2.0L *
                                     (p.p[v] * (error + std::abs(z) * error_p[v]) + in_.smallest * (1.0L + std::abs(z))) /
                                     t.student);
                out_.sum += factor * 2.0L * z / t.student;
                out_.sum_bound += std::abs(factor) * 2.0L * (error + unit_ * std::abs(z)) / t.student;
            }
        }
        out_.largest_factor = std::max(out_.largest_factor, std::abs(total) / std::min(1.0L, real(t.student)));
        for (std::size_t v = 0; v < n; ++v) {
            const real bound = h_bound[v] + p.p[v] * (total_bound + std::abs(total) * error_p[v]) +
                               unit_ * (std::abs(h[v]) + p.p[v] * std::abs(total)) +
                               in_.smallest * (total_size > 0.0L ? 4.0L + std::abs(total) : 0.0L);
            add_gradient(v, (h[v] - p.p[v] * total) / t.student, bound / t.student);
        }
        out_.sum_bound += unit_ * total_size / t.student;
        return true;
    }

    void add_gradient(std::size_t v, real value, real bound) {
        out_.gradient[v] += value;
        out_.gradient_bound[v] += bound;
    }

    bool add_vocabulary(const term& one, real factor, const side& p, const side& q, bool has_teacher,
                        const std::vector<real>& log_ratio, const std::vector<real>& error_p,
                        const std::vector<real>& error_q, const std::vector<real>& error_ratio,
                        const std::vector<real>& error_gap, std::vector<real>& h, std::vector<real>& h_bound, real& total,
                        real& total_bound, real& total_size) {
        const std::size_t n = p.p.size();
        const bool reads_teacher = one.what != kind::entropy && one.what != kind::uniform_cross_entropy;
        if (reads_teacher && !has_teacher) return false;
        bounded w{};
        if (one.what == kind::adaptive_kl) w = share_of_head(p, q, one.a, error_gap, in_.unit);
        const real share = 1.0L / static_cast<real>(p.unmasked), size = std::abs(factor);
        real sum = 0.0L, value = 0.0L, value_bound = 0.0L, size_of_h = 0.0L, h_error = 0.0L;
        std::vector<real> own(n), own_bound(n), by_teacher(n);
        real sum_by_teacher = 0.0L, mass_error = 0.0L;
        for (std::size_t v = 0; v < n; ++v) {
            pair e{p.p[v], p.log_p[v], 0.0L, 0.0L, 0.0L, p.absent[v] != 0, false, share};
            if (reads_teacher) e.q = q.p[v], e.log_q = q.log_p[v], e.log_ratio = log_ratio[v], e.no_q = q.absent[v] != 0;
            const summand s = evaluate(one, one.what, e, w.value);
            own[v] = s.h;
            // How much value and derivative change with the arguments: both probabilities by their errors, and the ratio by
            // its own.
            real change = 0.0L, change_of_value = 0.0L;
            const auto compare = [&](const pair& other, real weight) {
                const summand c = evaluate(one, one.what, other, weight);
                change = std::max(change, std::abs(c.h - s.h));
                change_of_value = std::max(change_of_value, std::abs(c.value - s.value));
            };
            real by_ratio = 0.0L;
            for (const real sign : {-1.0L, 1.0L}) {
                const real dp = sign * error_p[v], dr = reads_teacher ? sign * error_ratio[v] : 0.0L;
                pair both = e;
                const real dq = reads_teacher ? sign * error_q[v] : 0.0L;
                both.log_p = std::min(e.log_p + dp, 0.0L), both.log_q = std::min(e.log_q + dq, 0.0L);
                both.p = e.p * std::exp(dp), both.q = e.q * std::exp(dq);
                compare(both, w.value);
                if (!reads_teacher) continue;
                const real before = change;
                change = 0.0L;
                pair apart = e;
                apart.log_ratio += dr;
                if (std::abs(dr) < 0.5L) {
                    apart.log_p += dr / 2.0L, apart.log_q -= dr / 2.0L;
                    apart.p *= std::exp(dr / 2.0L), apart.q *= std::exp(-dr / 2.0L);
                }
                const real value_before = change_of_value;
                compare(apart, w.value);
                by_ratio = std::max(by_ratio, change);
                // Of first order this cancels over the row: sum |gradient| times the error has it. Where the logarithm is
                // floored it does not.
                change_of_value = std::abs(dr) < 0.5L ? value_before : change_of_value;
                change = before;
            }
            if (w.bound > 0.0L) {
                const real before = change;
                change = 0.0L;
                for (const real sign : {-1.0L, 1.0L}) compare(e, std::clamp(w.value + sign * w.bound, 0.0L, 1.0L));
                change += before;
            }
            // "Entries whose probability is below fp32's smallest normal number weigh nothing."
            const bool vanishes = e.p < 8.0L * in_.smallest || (reads_teacher && e.q < 8.0L * in_.smallest && e.p < 1e-30L);
            const real flushed = 8.0L * in_.smallest * (4.0L + std::abs(e.log_ratio) + std::abs(e.log_p));
            own_bound[v] = change + by_ratio + unit_ * std::abs(s.h) + flushed + (vanishes ? std::abs(s.h) : 0.0L);
            if (one.what == kind::squared_hellinger && e.p < in_.smallest * 16.0L)
                own_bound[v] += std::sqrt(in_.smallest * 16.0L) * (std::sqrt(e.q) + std::sqrt(e.p));
            // log(p / m) and a (1 - p / m) cancel where a is near 1.
            if (one.what == kind::skew_reverse_kl) {
                const real m = (1.0L - one.a) * e.q + one.a * e.p;
                if (e.p > 0.0L) own_bound[v] += unit_ * e.p * (std::abs(std::log(e.p / m)) + std::abs(1.0L - e.p / m));
            }
            // Where p and q differ, p / m and q / m are rounded like what they are sums of: a small share loses digits.
            if (const bool mixes = one.what == kind::jensen_shannon || one.what == kind::skew_forward_kl ||
                                   one.what == kind::skew_reverse_kl;
                mixes && e.p + e.q > 0.0L) {
                const real share_of_q = one.what == kind::skew_reverse_kl ? 1.0L - one.a : real(one.a);
                const real m = share_of_q * e.q + (1.0L - share_of_q) * e.p;
                const real apart = unit_ * std::min(8.0L, std::abs(e.log_ratio));
                const real most = std::max({1.0L, e.p / m, e.q / m}), of_p = apart * e.p * most, of_q = apart * e.q * most;
                if (one.what == kind::jensen_shannon)
                    own_bound[v] += (1.0L - one.a) * of_p, value_bound += (1.0L - one.a) * of_p + one.a * of_q;
                if (one.what == kind::skew_reverse_kl) own_bound[v] += of_p, value_bound += of_p;
                if (one.what == kind::skew_forward_kl) own_bound[v] += of_p, value_bound += of_q;
            }
            if (one.what == kind::alpha_beta) {
                // In long double, too, something is lost where the exponents are small.
                const real own_rounding = 0x1p-60L * (1.0L + std::abs(e.log_ratio));
                if (one.a > 0.0) own_bound[v] += own_rounding / one.a;
                if (one.a > 0.0 && one.b > 0.0) value_bound += own_rounding / (one.a * one.b);
            }
            // The value's derivative with respect to log q.
            if (reads_teacher && e.q > 0.0L && e.log_q > floor_of_logs) {
                constexpr real step = 1e-5L;
                const auto value_at = [&](real change_of_q) {
                    pair moved = e;
                    moved.log_q += change_of_q, moved.log_ratio -= change_of_q, moved.q *= std::exp(change_of_q);
                    return evaluate(one, one.what, moved, w.value).value;
                };
                by_teacher[v] = (value_at(step) - value_at(-step)) / (2.0L * step);
                sum_by_teacher += by_teacher[v];
            }
            mass_error += reads_teacher ? std::max(e.p, e.q) * std::min(error_ratio[v], 1.0L) : e.p * error_p[v];
            sum += s.h;
            size_of_h += std::abs(s.h);
            h_error += own_bound[v];
            value += s.value;
            value_bound += change_of_value + 0.5L * by_ratio * (reads_teacher ? error_ratio[v] : error_p[v]) + flushed +
                           unit_ * (std::abs(s.h) + (is_divergence(one.what) ? 0.0L : std::abs(s.value))) * 1.0L +
                           0x1p-61L * (std::abs(s.value) + e.p + e.q);
        }
        for (std::size_t v = 0; v < n; ++v) {
            const real g = own[v] - p.p[v] * sum;
            const real by = reads_teacher ? std::min(error_ratio[v], 1.0L) : error_p[v];
            const real by_levels = reads_teacher ? std::abs(by_teacher[v] - q.p[v] * sum_by_teacher) : 0.0L;
            value_bound += std::max(std::abs(g), by_levels) * by;
            h[v] += factor * own[v];
            h_bound[v] += size * own_bound[v];
        }
        // Sums are taken in lanes, a tile of them before anything wider.
        const real adding = unit_ * static_cast<real>(std::min<std::size_t>(n, 1024)) / 256.0L;
        h_error += adding * size_of_h, value_bound += adding * std::abs(value);
        // "Accuracy: a + b >= 1/4. Below, digits are lost."
        const bool loses_digits = one.what == kind::alpha_beta && one.a + one.b < 0.25;
        const real lost = loses_digits ? std::min(64.0L, 0.25L / std::max<real>(one.a + one.b, 1e-3L)) : 1.0L;
        value_bound *= lost, h_error *= lost;
        total += factor * sum, total_bound += size * h_error;
        total_size += size * (size_of_h + std::abs(sum) + 2.0L * mass_error / unit_);
        out_.loss += factor * value, out_.loss_bound += size * (value_bound + unit_ * std::abs(value));
        return true;
    }

    bool add_token(const term& one, real factor, const side& p, const side& q, bool has_teacher, const temperature& t,
                   const std::vector<real>& log_ratio, const std::vector<real>& error_p,
                   const std::vector<real>& error_ratio) {
        const std::size_t n = p.p.size();
        std::optional<std::int64_t> at;
        switch (one.what) {
            case kind::cross_entropy:
                at = in_.label;
                break;
            case kind::sampled_guidance:
                at = in_.drawn;
                break;
            case kind::teacher_guidance:
                at = in_.teacher_token;
                if (!at && has_teacher) {
                    // The lowest id on ties: of the logits, not of their rounded images under a cap.
                    std::size_t best = 0;
                    for (std::size_t v = 1; v < n; ++v)
                        if (q.absent[best] || (!q.absent[v] && in_.w[v] > in_.w[best])) best = v;
                    at = static_cast<std::int64_t>(best);
                    if (in_.teacher_cap != 0.0)
                        for (std::size_t v = 0; v < n; ++v)
                            if (v != best && q.p[v] >= q.p[best] * (1.0L - 8.0L * unit_)) return false;
                }
                break;
            default:
                at = in_.token;
        }
        if (!at) return false;
        const auto y = static_cast<std::size_t>(*at);
        token_numbers numbers{.log_p = p.log_p[y],
                              .log_q = in_.teacher_log_prob ? real(*in_.teacher_log_prob)
                                       : has_teacher        ? q.log_p[y]
                                                            : 0.0L,
                              .old = in_.old_log_prob.value_or(0.0),
                              .advantage = in_.advantage.value_or(0.0),
                              .sequence_log_ratio = in_.sequence_log_ratio.value_or(0.0),
                              .reverse_kl = 0.0L};
        real kl_error = 0.0L;
        if (one.what == kind::centered_log_ratio_advantage)
            for (std::size_t v = 0; v < n; ++v) {
                numbers.reverse_kl += times_log(p.p[v], log_ratio[v]);
                kl_error += p.p[v] * (error_ratio[v] + std::abs(log_ratio[v]) * error_p[v]);
            }
        const token_summand s = evaluate(one, numbers);
        const real error = error_p[y];
        const real error_of_q = !in_.teacher_log_prob && has_teacher ? unit_ * (1.0L + q.distance[y]) : 0.0L;
        real change = 0.0L, change_of_value = 0.0L;
        bool one_branch = true;
        for (const real dp : {-error, -1e-6L * error, 1e-6L * error, error})
            for (const real dq : {-error_of_q, error_of_q}) {
                token_numbers other = numbers;
                other.log_p += dp, other.log_q += dq, other.reverse_kl += dq > 0.0L ? kl_error : -kl_error;
                const token_summand c = evaluate(one, other);
                change = std::max(change, std::abs(c.h - s.h));
                change_of_value = std::max(change_of_value, std::abs(c.value - s.value));
                one_branch = one_branch && c.clipped == s.clipped && c.guarded == s.guarded;
            }
        change *= 1.01L, change_of_value *= 1.01L;  // where a clip or a guard may hold or not, either
        const bool counts = one_branch && (in_.advantage.value_or(1.0) != 0.0);
        count(out_.clipped, s.clipped, counts), count(out_.guarded, s.guarded, counts);
        const real size = std::abs(factor);
        out_.loss += factor * s.value;
        out_.loss_bound += size * (change_of_value + unit_ * std::abs(s.value));
        // 1 - p(y) is the others' mass.
        real others = 0.0L;
        for (std::size_t v = 0; v < n; ++v)
            if (v != y) others += p.p[v];
        for (std::size_t v = 0; v < n; ++v) {
            const real mine = v == y ? others : -p.p[v];
            const real mine_error = p.p[v] * error_p[v] + in_.smallest;
            add_gradient(
                v, factor * s.h * mine / t.student,
                size * (change * std::abs(mine) + std::abs(s.h) * (mine_error + unit_ * std::abs(mine))) / t.student);
        }
        out_.sum_bound += size * unit_ * 4.0L * (std::abs(s.h) + change) / t.student;
        return true;
    }

    static void count(int& where, bool holds, bool surely) {
        if (where == -1) return;
        if (!surely)
            where = -1;
        else if (holds)
            where = 1;
    }

    bool add_set(const term& one, real factor, const side& p, const temperature& t, const std::vector<real>& error_p) {
        const std::size_t n = p.p.size(), k = in_.top.size();
        const real size = std::abs(factor) / t.student;
        std::vector<real> q(k), mine(k), mine_error(k);
        real inside_p = 0.0L, inside_q = 0.0L, inside_error = 0.0L;
        std::vector<char> in_set(n);
        for (std::size_t i = 0; i < k; ++i) {
            const auto v = static_cast<std::size_t>(in_.top[i]);
            q[i] = std::exp(in_.top_log_probs[i]);
            mine[i] = p.p[v], mine_error[i] = error_p[v];
            inside_p += mine[i], inside_q += q[i], inside_error += mine[i] * mine_error[i];
            in_set[v] = 1;
        }
        if (k == 0 || inside_q <= 0.0L) return false;
        const auto log_of = [&](std::size_t i) { return std::max(in_.top_log_probs[i], floor_of_logs); };
        if (one.what == kind::top_forward_kl) {
            if (one.truncation == 2 && inside_p <= 1e-30L) return false;
            const real norm = one.truncation == 1 ? 1.0L : inside_q, log_norm = std::log(norm);
            const real of_p = one.truncation == 2 ? std::log(inside_p) : 0.0L;
            const real of_p_error = one.truncation == 2 ? inside_error / inside_p + unit_ : 0.0L;
            real mass = 0.0L;
            for (std::size_t i = 0; i < k; ++i) {
                const auto v = static_cast<std::size_t>(in_.top[i]);
                const real share = q[i] / norm;
                mass += share;
                const real value = share == 0.0L ? 0.0L : share * (log_of(i) - log_norm - p.log_p[v] + of_p);
                out_.loss += factor * value;
                out_.loss_bound += std::abs(factor) * (share * (error_p[v] + of_p_error + 1e-14L) + unit_ * std::abs(value) +
                                                       (p.log_p[v] <= floor_of_logs ? share * std::abs(log_of(i)) : 0.0L));
            }
            const real scale_p = one.truncation == 2 ? 1.0L / inside_p : mass;
            for (std::size_t v = 0; v < n; ++v) {
                if (one.truncation == 2 && !in_set[v]) {
                    add_gradient(v, 0.0L, size * unit_ * p.p[v]);
                    continue;
                }
                add_gradient(v, factor * scale_p * p.p[v] / t.student,
                             size * (scale_p * p.p[v] * (error_p[v] + of_p_error + unit_) + in_.smallest));
            }
            for (std::size_t i = 0; i < k; ++i)
                add_gradient(static_cast<std::size_t>(in_.top[i]), -factor * q[i] / norm / t.student,
                             size * unit_ * q[i] / norm);
            out_.sum_bound += size * unit_ * 4.0L * mass;
            return true;
        }
        // d on the tokens and the rest as one more entry.
        const real rest_q = std::max(1.0L - inside_q, smallest_outside);
        const real rest_error = inside_error + unit_ * inside_p + 1e-15L;
        const auto rest_at = [&](real change) { return std::max(1.0L - inside_p + change, smallest_outside); };
        const auto entry_of = [](real x, real log_x, real y, real log_y) {
            return pair{x, log_x, y, log_y, log_x - log_y, x == 0.0L, y == 0.0L, 0.0L};
        };
        real total = 0.0L, total_bound = 0.0L, size_of_h = 0.0L;
        std::vector<real> h(k), h_bound(k);
        for (std::size_t i = 0; i < k; ++i) {
            const auto v = static_cast<std::size_t>(in_.top[i]);
            const pair e = entry_of(mine[i], p.log_p[v], q[i], log_of(i));
            const summand s = evaluate(one, one.inner, e, 0.0L);
            real change = 0.0L, change_of_value = 0.0L;
            for (const real sign : {-1.0L, 1.0L}) {
                const real dp = sign * mine_error[i];
                pair other = entry_of(mine[i] * std::exp(dp), p.log_p[v] + dp, q[i], log_of(i));
                if (e.log_p <= floor_of_logs) other.log_ratio += sign * std::abs(e.log_q);
                if (e.log_q <= floor_of_logs) other.log_ratio += sign * std::abs(e.log_p);
                const summand c = evaluate(one, one.inner, other, 0.0L);
                change = std::max(change, std::abs(c.h - s.h));
                change_of_value = std::max(change_of_value, std::abs(c.value - s.value));
            }
            h[i] = s.h, h_bound[i] = change + unit_ * std::abs(s.h) + in_.smallest * (4.0L + std::abs(e.log_ratio));
            total += s.h, total_bound += h_bound[i], size_of_h += std::abs(s.h);
            out_.loss += factor * s.value;
            out_.loss_bound +=
                std::abs(factor) * (change_of_value + unit_ * (std::abs(s.value) + std::abs(s.h)) + in_.smallest * 100.0L);
        }
        const real rest_p = rest_at(0.0L);
        const summand rest = evaluate(one, one.inner, entry_of(rest_p, std::log(rest_p), rest_q, std::log(rest_q)), 0.0L);
        real change = 0.0L, change_of_value = 0.0L, change_of_ratio = 0.0L;
        for (const real dp : {-rest_error, rest_error})
            for (const real dq : {-1e-15L, 1e-15L}) {
                const real x = rest_at(dp), y = std::max(1.0L - inside_q + dq, smallest_outside);
                const summand c = evaluate(one, one.inner, entry_of(x, std::log(x), y, std::log(y)), 0.0L);
                change = std::max(change, std::abs(c.h - rest.h));
                change_of_value = std::max(change_of_value, std::abs(c.value - rest.value));
                change_of_ratio = std::max(change_of_ratio, std::abs(c.h / x - rest.h / rest_p));
            }
        // Held at its smallest, the rest is constant; within rounding of it, either.
        if (1.0L - inside_p - rest_error <= smallest_outside)
            change = std::max(change, std::abs(rest.h)),
            change_of_ratio = std::max(change_of_ratio, std::abs(rest.h / rest_p));
        change *= 1.01L, change_of_ratio *= 1.01L;
        total += rest.h, total_bound += change + unit_ * std::abs(rest.h), size_of_h += std::abs(rest.h);
        out_.loss += factor * rest.value;
        out_.loss_bound += std::abs(factor) * (change_of_value + unit_ * (std::abs(rest.value) + std::abs(rest.h)));
        const real outside = rest.h / rest_p;
        for (std::size_t v = 0; v < n; ++v) {
            const real base = in_set[v] ? -total : outside - total;
            add_gradient(v, factor * p.p[v] * base / t.student,
                         size * (p.p[v] * (total_bound + (in_set[v] ? 0.0L : change_of_ratio) + error_p[v] * std::abs(base) +
                                           unit_ * (std::abs(total) + (in_set[v] ? 0.0L : std::abs(outside)))) +
                                 in_.smallest * (4.0L + std::abs(base))));
        }
        for (std::size_t i = 0; i < k; ++i)
            add_gradient(static_cast<std::size_t>(in_.top[i]), factor * h[i] / t.student, size * h_bound[i]);
        // The rest's mass is held away from 0, and is then not what the entries have together.
        out_.sum += factor / t.student * (rest.h / rest_p * std::max(1.0L - inside_p, 0.0L) - rest.h);
        out_.sum_bound += size * (unit_ * 2.0L * size_of_h + change + change_of_ratio * (1.0L - std::min(inside_p, 1.0L)) +
                                  std::abs(outside) * rest_error);
        return true;
    }

    // d c tanh(z / c) / dz = 1 - tanh(z / c)^2.
    void chain_of_cap() {
        out_.sum = 0.0L;
        for (std::size_t v = 0; v < in_.z.size(); ++v) {
            if (is_masked_logit(in_.z[v])) {
                out_.gradient[v] = out_.gradient_bound[v] = 0.0L;
                continue;
            }
            const real x = std::min(std::abs(in_.z[v] / in_.student_cap), 5000.0L);
            const real c = std::cosh(x), slope = 1.0L / (c * c);
            out_.gradient_bound[v] = out_.gradient_bound[v] * slope +
                                     std::abs(out_.gradient[v]) * (slope * unit_ * (1.0L + 2.0L * x) + in_.smallest);
            out_.gradient[v] *= slope;
            out_.sum += out_.gradient[v];
            out_.sum_bound += out_.gradient_bound[v];
        }
    }

    const objective& objective_;
    const row& in_;
    real unit_;
    answer out_{};
};

}  // namespace detail

inline answer expected(const objective& o, const row& in) { return detail::computation(o, in).run(); }

}  // namespace oracle
