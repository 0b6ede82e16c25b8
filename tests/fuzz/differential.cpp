// Compositions of every term on random batches, held to an oracle in long double that is written from the documentation
// (oracle.hpp): losses and gradients to its bounds, sums of the gradient, masked rows, rows that are not finite, what is
// written and what is not, and the same bits whatever the executor and however a batch is split.
//
// Every call is legal by construction: what is refused, and when, is held by call.cpp. The objectives are compiled in
// tables (differential_*.cpp); the input chooses one, its parameters and a batch. Logits come in kinds that have broken
// something: levels far apart, rows nearly equal, masked entries on either side, probabilities below the smallest normal
// number, the ends of half.
#include <fuzz/compiled.hpp>
#include <fuzz/fuzz.hpp>

#include <Eigen/Core>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <type_traits>

namespace {

using oracle::real;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan_number = std::numeric_limits<double>::quiet_NaN();

// ----------------------------------------------------------------------------------------------------------------- storage

// Calls visitor(Element{}) with the type that `kind` names.
template <class Visitor>
auto with_type(fuzz::element kind, const Visitor& visitor) {
    switch (kind) {
        case fuzz::element::single:
            return visitor(float{});
        case fuzz::element::wide:
            return visitor(double{});
        case fuzz::element::half:
            return visitor(Eigen::half{});
        default:
            return visitor(Eigen::bfloat16{});
    }
}

// Unit roundoff, the spacing of the smallest numbers, and the largest one, of what is stored.
struct precision {
    real unit, smallest, largest;
};
precision precision_of(fuzz::element kind) {
    switch (kind) {
        case fuzz::element::single:
            return {0x1p-24L, 0x1p-126L, 3.4028234e38L};
        case fuzz::element::wide:
            return {0x1p-53L, 0x1p-1022L, 1e308L};
        case fuzz::element::half:
            return {0x1p-11L, 0x1p-24L, 65504.0L};
        default:
            return {0x1p-8L, 0x1p-126L, 3.3895314e38L};
    }
}

// A matrix in a block of the heap that ends where its promise ends.
class matrix {
public:
    matrix() = default;
    matrix(fuzz::element kind, std::ptrdiff_t rows, std::ptrdiff_t columns, std::ptrdiff_t stride, bool whole_last_row)
        : kind_(kind), rows_(rows), stride_(stride) {
        const std::ptrdiff_t held = rows == 0 ? 0 : (rows - 1) * stride + (whole_last_row ? stride : columns);
        size_ = with_type(kind, [](auto e) { return sizeof(e); });
        bytes_.resize(static_cast<std::size_t>(held) * size_);
        bytes_.shrink_to_fit();
        for (std::ptrdiff_t i = 0; i < held; ++i) write(i, nan_number);
    }

    [[nodiscard]] double at(std::ptrdiff_t row, std::ptrdiff_t column) const { return read(row * stride_ + column); }
    void set(std::ptrdiff_t row, std::ptrdiff_t column, double x) { write(row * stride_ + column, x); }
    void fill(double x) {
        for (std::size_t i = 0; i < bytes_.size() / size_; ++i) write(static_cast<std::ptrdiff_t>(i), x);
    }

    [[nodiscard]] std::ptrdiff_t rows() const { return rows_; }
    [[nodiscard]] std::ptrdiff_t stride() const { return stride_; }
    [[nodiscard]] bool holds(std::ptrdiff_t row, std::ptrdiff_t column) const {
        return static_cast<std::size_t>(row * stride_ + column) < bytes_.size() / size_;
    }
    [[nodiscard]] fuzz::element kind() const { return kind_; }
    [[nodiscard]] std::byte* data() { return bytes_.data(); }
    [[nodiscard]] const std::byte* row(std::ptrdiff_t index) const {
        return bytes_.data() + static_cast<std::size_t>(index * stride_) * size_;
    }
    [[nodiscard]] std::byte* row(std::ptrdiff_t index) {
        return bytes_.data() + static_cast<std::size_t>(index * stride_) * size_;
    }
    [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }

private:
    [[nodiscard]] double read(std::ptrdiff_t i) const {
        return with_type(kind_, [&](auto e) {
            std::memcpy(static_cast<void*>(&e), bytes_.data() + static_cast<std::size_t>(i) * size_, sizeof(e));
            return static_cast<double>(e);
        });
    }
    void write(std::ptrdiff_t i, double x) {
        with_type(kind_, [&](auto e) {
            using element = decltype(e);
            if constexpr (sizeof(element) >= sizeof(float))
                e = static_cast<element>(x);
            else
                e = static_cast<element>(static_cast<float>(x));
            std::memcpy(bytes_.data() + static_cast<std::size_t>(i) * size_, static_cast<const void*>(&e), sizeof(e));
        });
    }

    fuzz::element kind_ = fuzz::element::single;
    std::ptrdiff_t rows_ = 0, stride_ = 0;
    std::size_t size_ = 4;
    std::vector<std::byte> bytes_{};
};

// Numbers that a batch borrows, in the width that the input chooses. Those of the narrow width are rounded first.
template <class Narrow, class Wide>
struct array {
    std::vector<Narrow> narrow{};
    std::vector<Wide> wide{};

    [[nodiscard]] fuzz::either_width<Narrow, Wide> view() const {
        const auto size = static_cast<std::ptrdiff_t>(narrow.size() + wide.size());
        if (size == 0) return {};
        return {narrow.empty() ? nullptr : narrow.data(), wide.empty() ? nullptr : wide.data(), size};
    }
    void take(FuzzedDataProvider& bytes, const std::vector<Wide>& values) {
        if (bytes.ConsumeBool())
            narrow.assign(values.begin(), values.end());
        else
            wide = values;
    }
};

// --------------------------------------------------------------------------------------------------------------- the batch

struct arguments {
    const fuzz::compiled* objective = nullptr;
    oracle::objective text{};
    matrix student{}, teacher{}, gradient{};
    bool in_place = false;
    array<float, double> weights{}, old_log_probs{}, teacher_log_probs{}, advantages{}, temperatures{}, coefficients{},
        top_log_probs{}, sequence_log_ratios{};
    array<std::int32_t, std::int64_t> tokens{}, teacher_tokens{}, labels{}, sequence_offsets{}, top_tokens{};
    fuzz::request call{};
};

// One row of logits on both sides, of a kind.
void write_rows(FuzzedDataProvider& bytes, std::vector<double>& z, std::vector<double>& w, fuzz::element kind) {
    std::mt19937 random(bytes.ConsumeIntegral<std::uint32_t>());
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<double> uniform;
    const std::size_t n = z.size();
    constexpr double scales[] = {1.0, 3.0, 0.1, 10.0, 30.0};
    constexpr double noises[] = {0.05, 1e-3, 1e-6, 1e-2, 0.5, 0.0};
    constexpr double offsets[] = {0.0, 16.0, 30.0, 100.0, 1000.0, 1e4, -30.0, -200.0, -1e4};
    const double scale = fuzz::pick(bytes, scales), offset = fuzz::pick(bytes, offsets);
    const int style = bytes.ConsumeIntegral<std::uint8_t>() % 10;
    const double noise = fuzz::pick(bytes, noises);
    for (std::size_t v = 0; v < n; ++v) {
        z[v] = scale * normal(random), w[v] = scale * normal(random);
        switch (style) {
            case 0:
                break;
            case 1:
                w[v] = z[v] * (1.0 + noise * normal(random));
                break;
            case 2:
            case 3:
                w[v] = z[v] + noise * normal(random);
                break;
            case 4:  // below the smallest normal number, where the rest is equal
                if (v % 2 == 1)
                    z[v] = -84.0 - 20.0 * uniform(random), w[v] = -84.0 - 20.0 * uniform(random);
                else
                    w[v] = z[v] * (1.0 + noise);
                break;
            case 5:
                z[v] = (uniform(random) < 0.5 ? -1.0 : 1.0) * 1e4, w[v] = (uniform(random) < 0.5 ? -1.0 : 1.0) * 1e4;
                break;
            case 6:
                z[v] = std::floor(z[v]), w[v] = std::floor(w[v]);
                break;
            case 7:
                z[v] *= 1e3, w[v] *= 1e3;
                break;
            case 8:
                z[v] = w[v] = 0.0;
                break;
            default:
                z[v] = 6e4 * (2.0 * uniform(random) - 1.0), w[v] = uniform(random) < 0.5 ? z[v] : -6e4;
        }
    }
    // A token that one side, or each, is sure of.
    constexpr double sure[] = {0.0, 0.0, 20.0, 90.0, 5000.0};
    z[random() % n] += fuzz::pick(bytes, sure), w[random() % n] += fuzz::pick(bytes, sure);
    // Levels: of both together, and apart.
    const double level = fuzz::one_in(bytes, 4) ? fuzz::pick(bytes, offsets) : 0.0;
    const bool apart = fuzz::one_in(bytes, 3);
    for (std::size_t v = 0; v < n; ++v) z[v] += level, w[v] += level + (apart ? offset : 0.0);
    // Masked vocabulary: of one side, of both alike, of both apart; all but one token; by a large number.
    const int mask = bytes.ConsumeIntegral<std::uint8_t>() % 16;
    const double share = fuzz::one_in(bytes, 4) ? 0.9 : 0.2;
    const double masked = fuzz::one_in(bytes, 4) ? -1e30 : fuzz::one_in(bytes, 4) ? -1e4 : -infinity;
    const std::size_t kept = random() % n;
    for (std::size_t v = 0; v < n; ++v) {
        const bool first = uniform(random) < share, second = uniform(random) < share;
        if (v == kept) continue;
        if (mask == 1 || mask == 3 || mask == 4) z[v] = first ? masked : z[v];
        if (mask == 2 || mask == 4) w[v] = second ? masked : w[v];
        if (mask == 3) w[v] = first ? masked : w[v];
        if (mask == 5) z[v] = masked;
        if (mask == 6) w[v] = masked;
        if (mask == 7) z[v] = w[v] = masked;
    }
    if (fuzz::one_in(bytes, 4))
        for (int i = bytes.ConsumeIntegral<std::uint8_t>() % 4; i >= 0; --i)
            (bytes.ConsumeBool() ? z : w)[random() % n] = fuzz::number(bytes);
    // Rows without a softmax.
    if (fuzz::one_in(bytes, 12)) {
        constexpr double breaking[] = {nan_number, infinity, -nan_number};
        auto& side = bytes.ConsumeBool() ? z : w;
        if (fuzz::one_in(bytes, 4))
            std::ranges::fill(side, -infinity);
        else
            side[random() % n] = fuzz::pick(bytes, breaking);
    }
    // What half cannot hold would be infinite there.
    if (kind == fuzz::element::half)
        for (auto* side : {&z, &w})
            for (double& x : *side)
                if (std::isfinite(x) && std::abs(x) > 65504.0) x = std::copysign(65504.0, x);
}

oracle::temperature read_temperature(FuzzedDataProvider& bytes) {
    constexpr double values[] = {1.0, 2.0, 0.5, 0.9, 1.7, 10.0, 0.05, 100.0};
    const double student = fuzz::pick(bytes, values);
    return {student, fuzz::one_in(bytes, 4) ? fuzz::pick(bytes, values) : student};
}

fuzz::parameters read_parameters(FuzzedDataProvider& bytes) {
    fuzz::parameters p{};
    constexpr double weights[] = {1.0, 0.5, -2.0, 0.25, 1e-3, 0.0, 1e-30, 1e30, -1e-30, 1e3};
    constexpr double shares[] = {0.5, 0.1, 0.9, 0.3, 1e-3, 0.999};
    constexpr double exponents[] = {0.2, 0.7, 0.0, 1.0, 0.5, 2.0, 1e-3, 5.0, 0.25};
    constexpr double heads[] = {0.5, 0.9, 0.1, 1.0, 1e-3};
    constexpr double entropies[] = {0.8, 0.1, 2.0, 1e-4, 5.0};
    for (double& w : p.weight) w = fuzz::pick(bytes, weights);
    for (double& s : p.share) s = fuzz::pick(bytes, shares);
    p.alpha = fuzz::pick(bytes, exponents), p.beta = fuzz::pick(bytes, exponents);
    p.head = fuzz::pick(bytes, heads), p.nats = fuzz::pick(bytes, entropies);
    p.own = read_temperature(bytes), p.other = read_temperature(bytes);
    constexpr double lowers[] = {0.8, 0.0, 0.5, 1.0};
    constexpr double uppers[] = {1.2, 1.0, 3.0, 1.28};
    constexpr double bounds[] = {1.0, 0.1, 5.0, 20.0};
    p.lower = fuzz::pick(bytes, lowers), p.upper = fuzz::pick(bytes, uppers);
    p.floor = -fuzz::pick(bytes, bounds), p.ceiling = fuzz::pick(bytes, bounds);
    p.exponent = fuzz::pick(bytes, {1.0, 0.5, 2.0});
    p.seed = bytes.ConsumeIntegral<std::uint16_t>();
    return p;
}

bool needs(const arguments& a, bool (*holds)(const oracle::term&)) { return a.text.any(holds); }

arguments read_arguments(FuzzedDataProvider& bytes) {
    arguments a;
    const auto every = fuzz::on_every_instruction_set(), plain = fuzz::on_the_baseline(), typed = fuzz::of_element_types();
    const std::size_t index = bytes.ConsumeIntegral<std::uint8_t>() % (every.size() + plain.size() + typed.size());
    a.objective = index < every.size()                  ? &every[index]
                  : index < every.size() + plain.size() ? &plain[index - every.size()]
                                                        : &typed[index - every.size() - plain.size()];
    fuzz::request& r = a.call;
    r.with = read_parameters(bytes);
    a.text = a.objective->text(r.with);

    constexpr std::ptrdiff_t widths[] = {1, 2, 3, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 5, 20, 129};
    constexpr std::ptrdiff_t wide[] = {255, 257, 1023, 1024, 1025, 2047, 2048, 2049, 4096, 4099};
    const std::ptrdiff_t n = fuzz::one_in(bytes, 8) ? fuzz::pick(bytes, wide) : fuzz::pick(bytes, widths);
    const std::ptrdiff_t rows =
        n > 300 ? 1 + bytes.ConsumeIntegral<std::uint8_t>() % 2 : bytes.ConsumeIntegral<std::uint8_t>() % 7;
    r.rows = rows, r.vocabulary = n;
    r.adds = fuzz::one_in(bytes, 4), r.zeroes_padding = fuzz::one_in(bytes, 4);
    const auto stride = [&] { return n + (bytes.ConsumeBool() ? bytes.ConsumeIntegral<std::uint8_t>() % 20 : 0); };
    a.in_place = a.objective->student == a.objective->gradient && a.objective->writes_gradient && fuzz::one_in(bytes, 4);
    a.student = matrix(a.objective->student, rows, n, stride(), a.in_place && r.zeroes_padding);
    a.teacher = matrix(a.objective->teacher, rows, n, stride(), false);
    a.gradient = matrix(a.objective->gradient, rows, n, a.in_place ? a.student.stride() : stride(), r.zeroes_padding);
    const auto m = static_cast<std::size_t>(n), count = static_cast<std::size_t>(rows);
    std::vector<double> z(m), w(m);
    for (std::ptrdiff_t row = 0; row < rows; ++row) {
        const bool half = a.objective->student == fuzz::element::half || a.objective->teacher == fuzz::element::half;
        write_rows(bytes, z, w, half ? fuzz::element::half : fuzz::element::single);
        for (std::ptrdiff_t v = 0; v < n; ++v) {
            a.student.set(row, v, z[static_cast<std::size_t>(v)]);
            a.teacher.set(row, v, w[static_cast<std::size_t>(v)]);
        }
    }
    r.temperature = read_temperature(bytes);
    if (a.objective->has_soft_cap) {
        r.student_cap = fuzz::pick(bytes, {30.0, 5.0, 0.0, 50.0});
        r.teacher_cap = fuzz::pick(bytes, {30.0, 0.0, 5.0, 50.0});
    }

    std::mt19937 random(bytes.ConsumeIntegral<std::uint32_t>());
    std::uniform_real_distribution<double> uniform;
    const auto token = [&] { return static_cast<std::int64_t>(random() % m); };
    std::vector<double> values(count);
    std::vector<std::int64_t> ids(count);
    const auto write = [&](auto& to, const auto& make) {
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(to)>, array<float, double>>) {
            for (double& x : values) x = make();
            to.take(bytes, values);
        } else {
            for (auto& x : ids) x = make();
            to.take(bytes, ids);
        }
    };
    if (!fuzz::one_in(bytes, 3)) {
        constexpr double weights[] = {1.0, 0.0, 2.0, 0.5, 0.25, 1e-30, 1e30};
        const std::size_t kinds = fuzz::one_in(bytes, 8) ? 7 : 5;
        write(a.weights, [&] { return weights[random() % kinds]; });
    }
    if (!fuzz::one_in(bytes, 3)) write(a.temperatures, [&] { return 0.5 + 0.25 * static_cast<double>(random() % 5); });
    constexpr double coefficients[] = {1.0, 0.0, -1.0, 0.5, 3.0, 1e-30};
    write(a.coefficients, [&] { return coefficients[random() % 6]; });
    write(a.tokens, token);
    using oracle::kind;
    if (oracle::reads_labels(a.text) || fuzz::one_in(bytes, 3))
        write(a.labels, [&] { return random() % 4 == 0 ? std::int64_t{-100} : token(); });
    if (!fuzz::one_in(bytes, 3)) write(a.teacher_tokens, token);
    write(a.advantages, [&] { return random() % 16 == 0 ? 0.0 : 3.0 * uniform(random) - 1.5; });
    // Near the present log-probability, on both sides of every bound; sometimes beyond the guard.
    std::size_t at = 0;
    const auto near = [&](const matrix& logits, double temperature) {
        std::vector<real> x(m);
        const auto row = static_cast<std::ptrdiff_t>(at);
        for (std::ptrdiff_t v = 0; v < n; ++v) x[static_cast<std::size_t>(v)] = logits.at(row, v);
        const auto y = static_cast<std::size_t>(a.tokens.view()[row]);
        ++at;
        if (oracle::detail::has_no_softmax(x)) return -1.0;
        constexpr double steps[] = {-0.45, -0.1, 0.06, 0.215, 0.4, 1.3, 25.0, -25.0, 0.0};
        const auto log_p = static_cast<double>(oracle::detail::softmax(x, temperature, 0.0).log_p[y]);
        return std::min(0.0, log_p - steps[random() % (random() % 4 == 0 ? 9 : 6)]);
    };
    write(a.old_log_probs, [&] { return near(a.student, r.temperature.student); });
    at = 0;
    if (bytes.ConsumeBool()) write(a.teacher_log_probs, [&] { return near(a.teacher, r.temperature.teacher); });
    write(a.sequence_log_ratios, [&] { return random() % 8 == 0 ? 25.0 : uniform(random) - 0.5; });
    // One number of a row's own that is none.
    if (fuzz::one_in(bytes, 24) && rows > 0) {
        for (auto* numbers : {&a.advantages, &a.old_log_probs, &a.coefficients, &a.teacher_log_probs})
            if (fuzz::one_in(bytes, 3)) {
                const double breaking = bytes.ConsumeBool() ? nan_number : infinity;
                if (!numbers->narrow.empty()) numbers->narrow[random() % count] = static_cast<float>(breaking);
                if (!numbers->wide.empty()) numbers->wide[random() % count] = breaking;
            }
    }
    if (needs(a, [](const oracle::term& t) { return oracle::is_set(t.what); })) {
        const std::size_t k = 1 + bytes.ConsumeIntegral<std::uint8_t>() % std::min<std::size_t>(m, 20);
        std::vector<std::int64_t> top;
        std::vector<double> log_q;
        for (std::ptrdiff_t row = 0; row < rows; ++row) {
            std::vector<real> x(m);
            for (std::ptrdiff_t v = 0; v < n; ++v) x[static_cast<std::size_t>(v)] = a.teacher.at(row, v);
            const bool dense = !oracle::detail::has_no_softmax(x);
            const oracle::detail::side q = dense ? oracle::detail::softmax(x, 1.0L, 0.0) : oracle::detail::side{};
            std::vector<std::size_t> order(m);
            for (std::size_t v = 0; v < m; ++v) order[v] = v;
            std::shuffle(order.begin(), order.end(), random);
            if (dense && random() % 2 == 0) std::ranges::stable_sort(order, [&](auto i, auto j) { return q.p[i] > q.p[j]; });
            for (std::size_t i = 0; i < k; ++i) {
                const bool empty = i > 0 && random() % 8 == 0;
                top.push_back(empty ? -100 : static_cast<std::int64_t>(order[i]));
                const double number = dense ? static_cast<double>(q.log_p[order[i]]) : -10.0;
                log_q.push_back(empty ? nan_number : number <= -1e6 ? -infinity : std::max(number, -60.0));
            }
        }
        a.top_tokens.take(bytes, top), a.top_log_probs.take(bytes, log_q);
    }
    std::vector<std::int64_t> offsets{0};
    while (offsets.back() < rows)
        offsets.push_back(std::min<std::int64_t>(rows, offsets.back() + static_cast<std::int64_t>(random() % 4)));
    if (offsets.size() == 1) offsets.push_back(rows);
    a.sequence_offsets.take(bytes, offsets);
    r.reduced = static_cast<fuzz::reduction>(bytes.ConsumeIntegral<std::uint8_t>() % 5);
    if (!a.objective->needs_sequences) r.reduced = fuzz::reduction::token_mean;
    r.denominator_given = fuzz::one_in(bytes, 3) || r.reduced == fuzz::reduction::normalized;
    if (r.denominator_given) r.denominator = fuzz::pick(bytes, {1.0, 16.0, 0.5, 1e3});
    r.widest = static_cast<fuzz::instructions>(2 - bytes.ConsumeIntegral<std::uint8_t>() % 3);

    const bool reads_teacher = needs(a, [](const oracle::term& t) {
        return (!oracle::is_token(t.what) && t.what != kind::entropy && t.what != kind::uniform_cross_entropy &&
                t.what != kind::z_loss && !oracle::is_set(t.what)) ||
               t.what == kind::centered_log_ratio_advantage || t.what == kind::sampled_guidance || !t.gates.empty();
    });
    const bool label = needs(a, [](const oracle::term& t) { return t.what == kind::teacher_guidance; });
    const bool log_q = needs(a, [](const oracle::term& t) {
        return t.what == kind::kl_estimator || t.what == kind::log_ratio_advantage || t.what == kind::power_advantage ||
               t.what == kind::mixture_advantage;
    });
    const bool wanted =
        reads_teacher || (label && a.teacher_tokens.view().size == 0) || (log_q && a.teacher_log_probs.view().size == 0);
    r.teacher = wanted || bytes.ConsumeBool() ? a.teacher.data() : nullptr;
    r.student_stride = a.student.stride(), r.teacher_stride = a.teacher.stride();
    r.weights = a.weights.view(), r.old_log_probs = a.old_log_probs.view(), r.teacher_log_probs = a.teacher_log_probs.view();
    r.advantages = a.advantages.view(), r.temperatures = a.temperatures.view(), r.coefficients = a.coefficients.view();
    r.top_log_probs = a.top_log_probs.view(), r.sequence_log_ratios = a.sequence_log_ratios.view();
    r.tokens = a.tokens.view(), r.teacher_tokens = a.teacher_tokens.view(), r.labels = a.labels.view();
    r.sequence_offsets = a.sequence_offsets.view(), r.top_tokens = a.top_tokens.view();
    return a;
}

// -------------------------------------------------------------------------------------------------------------- the oracle

bool is_masked(const arguments& a, std::ptrdiff_t row) {
    const bool labels_mask = oracle::labels_mask_every_objective || oracle::reads_labels(a.text);
    return (a.call.weights.given() && a.call.weights[row] == 0.0) ||
           (labels_mask && a.call.labels.given() && a.call.labels[row] == -100);
}

oracle::row row_of(const arguments& a, std::ptrdiff_t row) {
    const fuzz::request& r = a.call;
    oracle::row in;
    for (std::ptrdiff_t v = 0; v < r.vocabulary; ++v) {
        in.z.push_back(a.student.at(row, v));
        if (r.teacher != nullptr) in.w.push_back(a.teacher.at(row, v));
    }
    in.student_cap = r.student_cap, in.teacher_cap = r.teacher_cap;
    in.loss_temperature = r.temperature;
    if (r.temperatures.given()) in.temperature_factor = r.temperatures[row];
    if (r.coefficients.given()) in.coefficient = r.coefficients[row];
    const auto one = [&](const auto& from, auto& to) {
        if (from.given()) to = from[row];
    };
    one(r.tokens, in.token), one(r.teacher_tokens, in.teacher_token), one(r.labels, in.label),
        one(r.advantages, in.advantage);
    one(r.old_log_probs, in.old_log_prob), one(r.teacher_log_probs, in.teacher_log_prob);
    one(r.sequence_log_ratios, in.sequence_log_ratio);
    if (r.top_tokens.given()) {
        const std::ptrdiff_t k = r.top_tokens.size / r.rows;
        for (std::ptrdiff_t i = row * k; i < (row + 1) * k; ++i)
            if (r.top_tokens[i] != -100) in.top.push_back(r.top_tokens[i]), in.top_log_probs.push_back(r.top_log_probs[i]);
    }
    // Double's functions are exact to some units, not to one; and below float's smallest number nothing is promised of them
    // either.
    if (a.objective->in_double) in.unit = 0x1p-48L;
    return in;
}

// What every row's loss is multiplied by in the reduced loss: weight, the sequence's factor, and 1 / denominator.
struct reduced {
    std::vector<real> factor{};
    real denominator = 0.0L;
    std::ptrdiff_t active = 0;
};

reduced reduce(const arguments& a) {
    const fuzz::request& r = a.call;
    reduced found;
    found.factor.assign(static_cast<std::size_t>(r.rows), 0.0L);
    real weights = 0.0L;
    std::ptrdiff_t sequences = 0;
    for (std::ptrdiff_t s = 0; s + 1 < r.sequence_offsets.size; ++s) {
        real weight = 0.0L;
        std::ptrdiff_t active = 0;
        for (std::int64_t i = r.sequence_offsets[s]; i < r.sequence_offsets[s + 1]; ++i)
            if (!is_masked(a, i)) weight += r.weights.given() ? r.weights[i] : 1.0, ++active;
        for (std::int64_t i = r.sequence_offsets[s]; i < r.sequence_offsets[s + 1]; ++i)
            if (!is_masked(a, i))
                found.factor[static_cast<std::size_t>(i)] = (r.weights.given() ? real(r.weights[i]) : 1.0L) /
                                                            (r.reduced == fuzz::reduction::sequence_mean ? weight : 1.0L);
        weights += weight, found.active += active, sequences += active > 0 ? 1 : 0;
    }
    const bool of_sequences =
        r.reduced == fuzz::reduction::sequence_mean || r.reduced == fuzz::reduction::sequence_mean_of_sums;
    if (found.active > 0)
        found.denominator = r.denominator_given                        ? real(r.denominator)
                            : of_sequences                             ? real(sequences)
                            : r.reduced == fuzz::reduction::token_mean ? weights
                                                                       : 1.0L;
    for (real& f : found.factor)
        if (found.active > 0) f /= found.denominator;
    return found;
}

// ---------------------------------------------------------------------------------------------------------------- one call

struct results {
    fuzz::outcome outcome{};
    std::vector<double> row_losses{};
    matrix gradient{};
};

[[noreturn]] void fail(const arguments& a, std::ptrdiff_t row, std::ptrdiff_t column, real got, real expected, real bound,
                       const char* sentence) {
    const fuzz::request& r = a.call;
    std::fprintf(stderr, "objective '%s', row %td of %td, entry %td of %td: got %.17Lg, expected %.17Lg within %.3Lg\n",
                 a.objective->name, row, r.rows, column, r.vocabulary, got, expected, bound);
    std::fprintf(stderr, "temperature %g %g, caps %g %g, set %d, reduction %d, adds %d, in place %d, zeroes %d\n",
                 r.temperature.student, r.temperature.teacher, r.student_cap, r.teacher_cap, static_cast<int>(r.widest),
                 static_cast<int>(r.reduced), r.adds, a.in_place, r.zeroes_padding);
    const auto& p = r.with;
    std::fprintf(
        stderr,
        "weights %g %g %g %g, shares %g %g, exponents %g %g, head %g, nats %g, own %g %g, other %g %g, bounds %g %g\n",
        p.weight[0], p.weight[1], p.weight[2], p.weight[3], p.share[0], p.share[1], p.alpha, p.beta, p.head, p.nats,
        p.own.student, p.own.teacher, p.other.student, p.other.teacher, p.lower, p.upper);
    if (row >= 0) {
        std::fprintf(stderr, "row weight %g, temperature factor %g, coefficient %g\n",
                     r.weights.given() ? r.weights[row] : 1.0, r.temperatures.given() ? r.temperatures[row] : 1.0,
                     r.coefficients.given() ? r.coefficients[row] : 1.0);
        const std::ptrdiff_t shown = std::min<std::ptrdiff_t>(r.vocabulary, 40);
        for (const matrix* m : {&a.student, &a.teacher}) {
            for (std::ptrdiff_t v = 0; v < shown; ++v) std::fprintf(stderr, "%s%.9g", v == 0 ? "{" : ", ", m->at(row, v));
            std::fprintf(stderr, "}\n");
        }
        for (std::ptrdiff_t i = 0, k = r.rows == 0 ? 0 : r.top_tokens.size / r.rows; i < k; ++i)
            std::fprintf(stderr, "top %td: %.9g\n", static_cast<std::ptrdiff_t>(r.top_tokens[row * k + i]),
                         r.top_log_probs[row * k + i]);
        const auto one = [&](const char* name, const auto& n) {
            if (n.given()) std::fprintf(stderr, "%s %.9g, ", name, static_cast<double>(n[row]));
        };
        one("token", r.tokens), one("teacher token", r.teacher_tokens), one("label", r.labels),
            one("advantage", r.advantages);
        one("old", r.old_log_probs), one("log q", r.teacher_log_probs), one("sequence", r.sequence_log_ratios);
        std::fprintf(stderr, "%s teacher\n", r.teacher == nullptr ? "no" : "dense");
        if (column >= 0) std::fprintf(stderr, "there: %.9g %.9g\n", a.student.at(row, column), a.teacher.at(row, column));
    }
    fuzz::require(false, sentence);
    std::abort();
}

// The call as `changed` has it, on fresh outputs.
results run(arguments& a, fuzz::request changed, bool in_place) {
    results found;
    found.row_losses.assign(static_cast<std::size_t>(changed.rows), 0.25);
    found.row_losses.shrink_to_fit();
    matrix student = a.student;
    found.gradient = in_place ? a.student : a.gradient;
    changed.student = in_place ? found.gradient.data() : student.data();
    changed.gradient = found.gradient.data(), changed.gradient_stride = found.gradient.stride();
    changed.row_losses = found.row_losses.data();
    const std::vector<std::byte> teacher = a.teacher.bytes();
    found.outcome = a.objective->call(changed);
    if (found.outcome.refused) fail(a, -1, -1, 0, 0, 0, "a legal call is accepted");
    fuzz::require(teacher == a.teacher.bytes() && student.bytes() == a.student.bytes(),
                  "a call writes its outputs and nothing else");
    return found;
}

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0);
}
bool same_bits(double a, double b) { return std::memcmp(&a, &b, sizeof(a)) == 0; }

void check_oracle(const arguments& a, const results& got, const matrix& before) {
    const fuzz::request& r = a.call;
    const reduced by = reduce(a);
    const precision stored = precision_of(a.objective->gradient);
    const real smallest = 0x1p-126L;
    // Beyond, a gradient is scaled down (docs/contracts.md).
    const real largest = a.objective->in_double ? 0x1p999L : 0x1p119L;
    real total = 0.0L, total_bound = 0.0L;
    bool total_is_open = false;
    std::ptrdiff_t nonfinite[2] = {}, clipped[2] = {}, guarded[2] = {};
    for (std::ptrdiff_t row = 0; row < r.rows; ++row) {
        const double loss = got.row_losses[static_cast<std::size_t>(row)];
        const auto written = [&](std::ptrdiff_t v) { return got.gradient.at(row, v); };
        if (a.objective->writes_gradient)
            for (std::ptrdiff_t v = r.vocabulary; v < got.gradient.stride() && got.gradient.holds(row, v); ++v) {
                const double padding = written(v), was = before.at(row, v);
                if (r.zeroes_padding ? padding != 0.0 : !same_bits(padding, was))
                    fail(a, row, v, padding, r.zeroes_padding ? 0.0 : was, 0.0L,
                         "padding is zeroed where that is asked for, else left alone");
            }
        if (is_masked(a, row)) {
            if (loss != 0.0) fail(a, row, -1, loss, 0.0L, 0.0L, "a masked row's loss is 0");
            for (std::ptrdiff_t v = 0; v < r.vocabulary && a.objective->writes_gradient; ++v) {
                const double was = r.adds ? before.at(row, v) : 0.0;
                if (!(written(v) == was) && !(std::isnan(was) && std::isnan(written(v))))
                    fail(a, row, v, written(v), was, 0.0L, "a masked row's gradient is 0");
            }
            continue;
        }
        oracle::row in = row_of(a, row);
        if (a.text.any([](const oracle::term& t) { return t.what == oracle::kind::sampled_guidance; })) {
            // Which token was drawn, the gradient says: there it is p - 1.
            if (!a.objective->writes_gradient || oracle::detail::has_no_softmax(in.z) || r.adds) {
                total_is_open = true, ++nonfinite[1];
                continue;
            }
            std::ptrdiff_t drawn = 0;
            const auto p = oracle::detail::softmax(in.z, r.temperature.student * in.temperature_factor, 0.0);
            const real sign = r.with.weight[0] * by.factor[static_cast<std::size_t>(row)] < 0.0 ? -1.0L : 1.0L;
            const auto miss = [&](std::ptrdiff_t v) {
                return std::abs(loss + r.with.weight[0] * p.log_p[static_cast<std::size_t>(v)]);
            };
            for (std::ptrdiff_t v = 1; v < r.vocabulary; ++v)
                if (sign * written(v) < sign * written(drawn) || (written(v) == written(drawn) && miss(v) < miss(drawn)))
                    drawn = v;
            in.drawn = drawn;
        }
        const oracle::answer answer = oracle::expected(a.text, in);
        const real factor = by.factor[static_cast<std::size_t>(row)];
        oracle::verdict is = answer.is;
        if (is == oracle::verdict::not_finite) {
            ++nonfinite[0], ++nonfinite[1];
            if (!std::isnan(loss)) fail(a, row, -1, loss, nan_number, 0.0L, "the loss of a row that is not finite is NaN");
            for (std::ptrdiff_t v = 0; v < r.vocabulary && a.objective->writes_gradient; ++v)
                if (!std::isnan(written(v)))
                    fail(a, row, v, written(v), nan_number, 0.0L, "the gradient of a row that is not finite is NaN");
            continue;
        }
        bool overflows = std::abs(factor) > largest;
        // What is multiplied with a derivative has to be a number of the type computed in.
        real most = std::max({std::abs(answer.loss), answer.largest_factor, std::abs(answer.largest_factor * factor)});
        if (is == oracle::verdict::number)
            for (std::size_t v = 0; v < answer.gradient.size(); ++v)
                most = std::max({most, std::abs(answer.gradient[v]), std::abs(factor * answer.gradient[v])});
        overflows = overflows || most > largest;
        if (is == oracle::verdict::any || overflows) {
            total_is_open = true, ++nonfinite[1], ++clipped[1], ++guarded[1];
            continue;
        }
        clipped[0] += answer.clipped == 1, clipped[1] += answer.clipped != 0;
        guarded[0] += answer.guarded == 1, guarded[1] += answer.guarded != 0;
        const auto columns = static_cast<real>(r.vocabulary);
        const real loss_bound = answer.loss_bound + smallest * columns;
        if (!(std::abs(loss - answer.loss) <= loss_bound))
            fail(a, row, -1, loss, answer.loss, loss_bound, "the loss is that of the definition");
        if (answer.never_negative && loss < 0.0) fail(a, row, -1, loss, answer.loss, 0.0L, "a divergence is never negative");
        total += factor * loss, total_bound += 0x1p-50L * std::abs(factor * loss);
        if (!a.objective->writes_gradient) continue;
        real sum = 0.0L, sum_bound = 0.0L;
        bool saturated = false;
        for (std::ptrdiff_t v = 0; v < r.vocabulary; ++v) {
            const auto i = static_cast<std::size_t>(v);
            real expected = factor * answer.gradient[i];
            real bound = std::abs(factor) * answer.gradient_bound[i] + 4.0L * smallest * (1.0L + std::abs(factor));
            bound += 4.0L * (a.objective->in_double ? 0x1p-53L : 0x1p-24L) * std::abs(expected);
            if (r.adds) expected += before.at(row, v);
            const real rounding = stored.unit * (std::abs(expected) + bound) + stored.smallest;
            // "held at the type's largest value where it would overflow"
            if (std::abs(expected) + bound >= stored.largest) {
                saturated = true;
                if (stored.unit < 0x1p-16L) continue;
                expected = std::clamp(expected, -stored.largest, stored.largest);
            }
            if (std::isnan(expected)) continue;
            if (!(std::abs(written(v) - expected) <= bound + rounding))
                fail(a, row, v, written(v), expected, bound + rounding, "the gradient is that of the definition");
            sum += written(v), sum_bound += rounding + 4.0L * smallest * (1.0L + std::abs(factor));
            sum_bound += 4.0L * (a.objective->in_double ? 0x1p-53L : 0x1p-24L) * std::abs(expected);
        }
        sum_bound += std::abs(factor) * answer.sum_bound;
        if (!r.adds && !saturated && !(std::abs(sum - factor * answer.sum) <= sum_bound))
            fail(a, row, -1, sum, factor * answer.sum, sum_bound, "a row of the gradient sums to 0");
    }
    const fuzz::outcome& o = got.outcome;
    const auto within = [&](std::ptrdiff_t count, const std::ptrdiff_t(&range)[2], const char* sentence) {
        if (count < range[0] || count > range[1])
            fail(a, -1, -1, static_cast<real>(count), static_cast<real>(range[0]), 0.0L, sentence);
    };
    fuzz::require(o.active_rows == by.active, "active rows are those that are not masked");
    within(o.nonfinite_rows, nonfinite, "rows that are not finite are counted");
    within(o.clipped_rows, clipped, "rows that a clip holds are counted");
    within(o.guarded_rows, guarded, "rows beyond the guard are counted");
    if (!(std::abs(o.denominator - by.denominator) <= 1e-12L * by.denominator))
        fail(a, -1, -1, o.denominator, by.denominator, 0.0L, "the denominator is the reduction's");
    if (nonfinite[0] > 0) fuzz::require(std::isnan(o.value), "the loss of a row that is not finite is NaN");
    if (nonfinite[0] == 0 && !total_is_open && std::abs(total) < 1e300L &&
        !(std::abs(o.value - total) <= total_bound + 1e-12L * std::abs(total) + 1e-300L))
        fail(a, -1, -1, o.value, total, total_bound, "the reduced loss is that of the rows");
}

// The same rows, in two calls of the same denominator.
void check_split(arguments& a, const results& whole) {
    const fuzz::request& r = a.call;
    if (r.rows < 2 || a.in_place || whole.outcome.active_rows == 0) return;
    const std::ptrdiff_t sequences = r.sequence_offsets.size - 1;
    for (std::ptrdiff_t s = 1; s < sequences; ++s) {
        const std::int64_t cut = r.sequence_offsets[s];
        if (cut == 0 || cut == r.rows) continue;
        results parts;
        parts.row_losses = std::vector<double>(static_cast<std::size_t>(r.rows), 0.25);
        parts.gradient = a.gradient;
        matrix student = a.student;
        for (const auto& [begin, end] : {std::pair<std::int64_t, std::int64_t>{0, cut}, {cut, r.rows}}) {
            fuzz::request part = r;
            part.rows = end - begin;
            part.student = student.row(begin);
            if (r.teacher != nullptr) part.teacher = a.teacher.row(begin);
            part.gradient = parts.gradient.row(begin), part.gradient_stride = parts.gradient.stride();
            part.row_losses = parts.row_losses.data() + begin;
            for (auto* n : {&part.weights, &part.old_log_probs, &part.teacher_log_probs, &part.advantages,
                            &part.temperatures, &part.coefficients, &part.sequence_log_ratios})
                *n = n->from(begin, part.rows);
            for (auto* n : {&part.tokens, &part.teacher_tokens, &part.labels}) *n = n->from(begin, part.rows);
            const std::ptrdiff_t k = r.top_tokens.size / r.rows;
            part.top_tokens = r.top_tokens.from(begin * k, part.rows * k);
            part.top_log_probs = r.top_log_probs.from(begin * k, part.rows * k);
            std::vector<std::int64_t> offsets;
            for (std::ptrdiff_t i = 0; i <= sequences; ++i)
                if (const std::int64_t o = r.sequence_offsets[i]; (begin == 0 ? i <= s : i >= s))
                    offsets.push_back(o - begin);
            part.sequence_offsets = {nullptr, offsets.data(), static_cast<std::ptrdiff_t>(offsets.size())};
            part.denominator_given = true, part.denominator = whole.outcome.denominator;
            part.with.first_row = r.with.first_row + begin;
            fuzz::require(!a.objective->call(part).refused, "a legal part of a batch is accepted");
        }
        if (!same_bits(parts.row_losses, whole.row_losses))
            fail(a, -1, -1, 0, 0, 0, "a row's loss has the same bits in whatever batch it stands");
        if (a.objective->writes_gradient && parts.gradient.bytes() != whole.gradient.bytes())
            fail(a, -1, -1, 0, 0, 0, "a row's gradient has the same bits in whatever batch it stands");
        return;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    FuzzedDataProvider bytes(data, size);
    arguments a = read_arguments(bytes);
    if (!a.in_place) {
        a.gradient.fill(0.125);
        if (a.call.adds)
            for (std::ptrdiff_t row = 0; row < a.call.rows; ++row)
                for (std::ptrdiff_t v = 0; v < a.call.vocabulary; ++v)
                    a.gradient.set(row, v, static_cast<double>(v % 5) - 2.0);
    }
    const matrix before = a.in_place ? a.student : a.gradient;
    const results first = run(a, a.call, a.in_place);
    check_oracle(a, first, before);

    fuzz::request elsewhere = a.call;
    elsewhere.runs_on = static_cast<fuzz::executor>(1 + bytes.ConsumeIntegral<std::uint8_t>() % 3);
    const results other = run(a, elsewhere, a.in_place);
    if (!same_bits(first.outcome.value, other.outcome.value) || !same_bits(first.row_losses, other.row_losses) ||
        first.gradient.bytes() != other.gradient.bytes())
        fail(a, -1, -1, 0, 0, 0, "the same bits, whatever the executor");
    check_split(a, first);
    return 0;
}
