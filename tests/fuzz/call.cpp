// One call made from bytes: element types, shapes, strides, null and misaligned pointers, outputs over inputs and over one
// another, offsets, token ids, parameters, and logits of any bits, on `eigen` and on `reference`.
//
// A call is refused exactly where the contracts (docs/contracts.md) say so, and then every byte of every buffer is as it was.
// An accepted call writes its outputs alone; padding and masked rows are not read; masked rows are zero; rows that are not
// finite are NaN and counted; on all others the two backends agree.
//
// A view that promises more than its buffer holds, and is legal by itself, is the caller's lie and no input.
#include <sanitizer/asan_interface.h>

#include <distill/distill.hpp>

#include <fuzz/fuzz.hpp>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <string>

namespace {

// ----------------------------------------------------------------------------------------------------------- the objectives

struct parameters {
    double coefficient, second, teacher_weight, lower, upper, alpha, beta;
    distill::temperature all, part;
    std::optional<double> denominator;
};

parameters read_parameters(FuzzedDataProvider& bytes) {
    parameters p{};
    p.coefficient = fuzz::parameter(bytes, {1.0, 0.5, 0.0, -2.0});
    p.second = fuzz::parameter(bytes, {1.0, 0.0, 0.25});
    p.teacher_weight = fuzz::parameter(bytes, {0.5, 0.1, 0.9, 1.0, 0.0});
    p.lower = fuzz::parameter(bytes, {0.8, 0.0, 1.0, 1.5});
    p.upper = fuzz::parameter(bytes, {1.2, 1.0, 1e6, 0.5});
    p.alpha = fuzz::parameter(bytes, {0.2, 0.0, 1.0, 16.0, -1.0});
    p.beta = fuzz::parameter(bytes, {0.7, 0.0, 1.0, 16.0});
    for (double* t : {&p.all.student, &p.all.teacher, &p.part.student, &p.part.teacher})
        *t = fuzz::parameter(bytes, {1.0, 2.0, 0.5, 1e-4, 1e4, 0.0});
    if (fuzz::one_in(bytes, 4)) p.denominator = fuzz::parameter(bytes, {1.0, 16.0, 0.0});
    return p;
}

bool within(double x, double low, double high) { return x >= low && x <= high; }
bool legal(const distill::temperature& t) { return within(t.student, 1e-4, 1e4) && within(t.teacher, 1e-4, 1e4); }

// What has to be known of an objective: what it is made of, when its parameters are legal, the sum of its coefficients, and what it
// reads.
enum reads : unsigned { nothing = 0, teacher = 1, tokens = 2, teacher_label = 4, labels = 8, numbers = 16 };

struct vocabulary_sum {
    static constexpr bool sequences = false;
    static auto make(const parameters& p) { return p.coefficient * distill::forward_kl{}; }
    static bool legal(const parameters& p) { return std::isfinite(p.coefficient); }
    static double size(const parameters& p) { return std::abs(p.coefficient); }
    static unsigned reads(const parameters&) { return teacher; }
};

struct sum_of_all_kinds {
    static constexpr bool sequences = true;
    static auto make(const parameters& p) {
        return p.coefficient * distill::reverse_kl{} + distill::jensen_shannon{p.teacher_weight} + distill::cross_entropy{} +
               at_temperature(p.part, p.second * distill::teacher_guidance{});
    }
    static bool legal(const parameters& p) {
        return std::isfinite(p.coefficient) && std::isfinite(p.second) && p.teacher_weight > 0.0 && p.teacher_weight < 1.0 &&
               ::legal(p.part);
    }
    static double size(const parameters& p) {
        // Nearer to its ends the mixture is rounded to one of its parts.
        if (!within(p.teacher_weight, 1e-6, 1.0 - 1e-6)) return std::numeric_limits<double>::infinity();
        return 2.0 + std::abs(p.coefficient) + std::abs(p.second);
    }
    static unsigned reads(const parameters& p) { return teacher | labels | (p.second != 0.0 ? teacher_label : nothing); }
};

struct policy {
    static constexpr bool sequences = false;
    static auto make(const parameters& p) {
        return distill::tgpo{.coefficient = p.second, .surrogate = {.lower = p.lower, .upper = p.upper}};
    }
    static bool legal(const parameters& p) {
        return std::isfinite(p.second) && within(p.lower, 0.0, 1.0) && within(p.upper, 1.0, 1e6);
    }
    static double size(const parameters& p) { return 1.0 + std::abs(p.second); }
    static unsigned reads(const parameters& p) { return tokens | numbers | (p.second != 0.0 ? teacher_label : nothing); }
};

struct powers {
    static constexpr bool sequences = true;
    static auto make(const parameters& p) { return distill::alpha_beta{p.alpha, p.beta} + p.second * distill::entropy{}; }
    static bool legal(const parameters& p) {
        return std::isfinite(p.second) && within(p.alpha, 0.0, 16.0) && within(p.beta, 0.0, 16.0);
    }
    static double size(const parameters& p) {
        // The reciprocal of a smaller exponent overflows.
        for (const double exponent : {p.alpha, p.beta})
            if (exponent != 0.0 && exponent < 1e-6) return std::numeric_limits<double>::infinity();
        return 1.0 + std::abs(p.second);
    }
    static unsigned reads(const parameters&) { return teacher; }
};

// ------------------------------------------------------------------------------------------------------------ the arguments

// A view, and what its buffer really holds.
template <class Element>
struct argument {
    distill::logits_view<Element> view{};
    Element* data = nullptr;
    std::size_t held = 0;    // elements
    bool own_block = false;  // shared with nothing else
};

// The number of elements from the first to the last that the view promises.
template <class Element>
__int128 promised(const distill::logits_view<Element>& v, bool with_last_padding) {
    if (v.rows == 0) return 0;
    return static_cast<__int128>(v.rows - 1) * v.row_stride + (with_last_padding ? v.row_stride : v.vocabulary);
}

template <class Element>
argument<Element> place(FuzzedDataProvider& bytes, fuzz::memory& memory, std::ptrdiff_t rows, std::ptrdiff_t vocabulary,
                        bool with_last_padding) {
    argument<Element> a;
    const std::ptrdiff_t padding = bytes.ConsumeBool() ? bytes.ConsumeIntegral<std::uint8_t>() % 20 : 0;
    a.view = {a.data, rows, vocabulary, vocabulary + padding};
    a.held = static_cast<std::size_t>(promised(a.view, with_last_padding));
    a.own_block = !fuzz::one_in(bytes, 4);
    a.data = a.own_block ? memory.own<Element>(a.held)
                         : memory.shared<Element>(a.held, bytes.ConsumeIntegral<std::uint16_t>() % 2048);
    a.view.data = a.data;
    // Some numbers over and over, and a few entries set apart.
    double some[8];
    for (double& x : some) x = fuzz::number(bytes);
    const auto write = [&](std::size_t i, double x) {
        if constexpr (sizeof(Element) >= sizeof(float))
            a.data[i] = static_cast<Element>(x);
        else
            a.data[i] = static_cast<Element>(static_cast<float>(x));
    };
    for (std::size_t i = 0; i < a.held; ++i) write(i, some[(i + i / 8) % 8]);
    for (int n = bytes.ConsumeIntegral<std::uint8_t>() % 16; n > 0 && a.held > 0; --n)
        write(bytes.ConsumeIntegral<std::uint16_t>() % a.held, fuzz::number(bytes));
    return a;
}

// One number of the view becomes another.
template <class Element>
void disturb(FuzzedDataProvider& bytes, distill::logits_view<Element>& view) {
    constexpr std::int64_t extremes[] = {0,
                                         -1,
                                         1,
                                         std::numeric_limits<std::int64_t>::max(),
                                         std::numeric_limits<std::int64_t>::min(),
                                         (1 << 24) + 1,
                                         std::int64_t{1} << 62};
    std::ptrdiff_t* const numbers[] = {&view.rows, &view.vocabulary, &view.row_stride};
    const int field = bytes.ConsumeIntegral<std::uint8_t>() % 6;
    if (field == 0)
        view.data = nullptr;
    else if (field == 1)
        view.data = reinterpret_cast<Element*>(reinterpret_cast<std::uintptr_t>(view.data) + 1);
    else if (field == 2)
        view = {};
    else if (bytes.ConsumeBool())
        *numbers[field - 3] = fuzz::pick(bytes, extremes);
    else
        *numbers[field - 3] += bytes.ConsumeIntegralInRange<int>(-3, 3);
}

template <class Element>
bool legal(const distill::logits_view<Element>& v) {
    if (v.data == nullptr && v.rows == 0 && v.vocabulary == 0) return true;
    if (v.rows < 0 || v.vocabulary < 1 || v.vocabulary > 1 << 24 || v.row_stride < v.vocabulary) return false;
    const __int128 size = static_cast<__int128>(v.rows) * v.row_stride * static_cast<__int128>(sizeof(Element));
    return v.rows == 0 || (size <= std::numeric_limits<std::ptrdiff_t>::max() && v.data != nullptr &&
                           reinterpret_cast<std::uintptr_t>(v.data) % alignof(Element) == 0);
}

template <class Narrow, class Wide>
bool legal(const distill::row_array<Narrow, Wide>& array, std::ptrdiff_t size) {
    return array.empty() || (array.address() != nullptr && array.size() == size);
}

// `count` numbers of either width: in a block of their own, or where others may stand; seldom behind a null pointer.
template <class Narrow, class Wide, class Make>
distill::row_array<Narrow, Wide> place_numbers(FuzzedDataProvider& bytes, fuzz::memory& memory, std::size_t count,
                                               const Make& make) {
    const bool narrow = bytes.ConsumeBool(), null = fuzz::one_in(bytes, 64), shares = fuzz::one_in(bytes, 16);
    const auto write = [&]<class Value>(Value* block) -> distill::row_array<Narrow, Wide> {
        if (null) return {block, count};
        block =
            shares ? memory.shared<Value>(count, bytes.ConsumeIntegral<std::uint16_t>() % 2048) : memory.own<Value>(count);
        for (std::size_t i = 0; i < count; ++i) block[i] = static_cast<Value>(make());
        return {block, count};
    };
    return narrow ? write(static_cast<Narrow*>(nullptr)) : write(static_cast<Wide*>(nullptr));
}

// One number per row: seldom one too many or too few, sometimes none at all.
template <class Narrow, class Wide, class Make>
distill::row_array<Narrow, Wide> per_row(FuzzedDataProvider& bytes, fuzz::memory& memory, std::ptrdiff_t rows,
                                         const Make& make) {
    if (fuzz::one_in(bytes, 6)) return {};
    if (fuzz::one_in(bytes, 32)) rows = std::max<std::ptrdiff_t>(0, rows + (bytes.ConsumeBool() ? 1 : -1));
    return place_numbers<Narrow, Wide>(bytes, memory, static_cast<std::size_t>(rows), make);
}

template <class Student, class Teacher, class Real>
struct arguments {
    argument<Student> student, gradient;
    argument<Teacher> teacher;
    distill::batch<Student, Teacher> in;
    std::span<Real> row_losses;
    bool with_outputs, adds, zeroes_padding;

    [[nodiscard]] bool in_place() const {
        return gradient.view.data == student.view.data && gradient.view.row_stride == student.view.row_stride;
    }
    [[nodiscard]] distill::gradient<Student> destination() const {
        distill::gradient<Student> g(gradient.view);
        g.adds = adds;
        g.zeroes_padding = zeroes_padding;
        return g;
    }
};

template <class Student, class Teacher, class Real>
arguments<Student, Teacher, Real> read_arguments(FuzzedDataProvider& bytes, fuzz::memory& memory) {
    arguments<Student, Teacher, Real> a{};
    const std::ptrdiff_t rows = bytes.ConsumeIntegral<std::uint8_t>() % 6;
    // Mostly narrow, sometimes several tiles wide.
    const std::ptrdiff_t vocabulary = fuzz::one_in(bytes, 16) ? 2030 + bytes.ConsumeIntegral<std::uint8_t>() % 80
                                                              : 1 + bytes.ConsumeIntegral<std::uint8_t>() % 70;
    a.with_outputs = !fuzz::one_in(bytes, 4);
    a.adds = fuzz::one_in(bytes, 3);
    a.zeroes_padding = fuzz::one_in(bytes, 4);
    a.student = place<Student>(bytes, memory, rows, vocabulary, a.zeroes_padding);
    a.teacher = place<Teacher>(bytes, memory, rows, vocabulary, false);
    a.gradient = place<Student>(bytes, memory, rows, vocabulary, a.zeroes_padding);
    if (fuzz::one_in(bytes, 4)) a.gradient = a.student;
    if (fuzz::one_in(bytes, 8)) a.teacher.view = {};
    switch (bytes.ConsumeIntegral<std::uint8_t>() % 12) {
        case 9:
            disturb(bytes, a.student.view);
            break;
        case 10:
            disturb(bytes, a.teacher.view);
            break;
        case 11:
            disturb(bytes, a.gradient.view);
            break;
        default:
            break;
    }

    const auto weight = [&] {
        return fuzz::one_in(bytes, 64) ? fuzz::number(bytes) : bytes.ConsumeIntegral<std::uint8_t>() % 4 / 2.0;
    };
    const auto token = [&]() -> std::int64_t {
        constexpr std::int64_t outside[] = {-1, -100, std::numeric_limits<std::int64_t>::min(), std::int64_t{1} << 31};
        const int kind = bytes.ConsumeIntegral<std::uint8_t>();
        return kind < 250 ? kind % vocabulary : kind < 254 ? fuzz::pick(bytes, outside) : vocabulary;
    };
    const auto label = [&] { return fuzz::one_in(bytes, 4) ? distill::ignored_label : token(); };
    const auto number = [&] { return fuzz::number(bytes); };
    a.in = {.student = a.student.view,
            .teacher = a.teacher.view,
            .weights = per_row<float, double>(bytes, memory, rows, weight),
            .tokens = per_row<std::int32_t, std::int64_t>(bytes, memory, rows, token),
            .teacher_tokens = per_row<std::int32_t, std::int64_t>(bytes, memory, rows, token),
            .labels = per_row<std::int32_t, std::int64_t>(bytes, memory, rows, label),
            .old_log_probs = per_row<float, double>(bytes, memory, rows, number),
            .advantages = per_row<float, double>(bytes, memory, rows, number)};
    if (!fuzz::one_in(bytes, 6)) {
        std::vector<std::int64_t> offsets{0};
        for (int n = bytes.ConsumeIntegral<std::uint8_t>() % 5; n > 0; --n)
            offsets.push_back(std::min<std::int64_t>(offsets.back() + bytes.ConsumeIntegral<std::uint8_t>() % 3, rows));
        offsets.push_back(rows);
        if (fuzz::one_in(bytes, 16)) offsets[bytes.ConsumeIntegral<std::uint8_t>() % offsets.size()] = token();
        auto next = offsets.begin();
        a.in.sequence_offsets =
            place_numbers<std::int32_t, std::int64_t>(bytes, memory, offsets.size(), [&] { return *next++; });
    }
    auto count = static_cast<std::size_t>(rows);
    if (fuzz::one_in(bytes, 32)) ++count;
    Real* losses = fuzz::one_in(bytes, 8) ? memory.shared<Real>(count, bytes.ConsumeIntegral<std::uint16_t>() % 2048)
                                          : memory.own<Real>(count);
    a.row_losses = {fuzz::one_in(bytes, 64) ? nullptr : losses, count};
    return a;
}

// ------------------------------------------------------------------------------------------------------------ the contracts

struct run_of_bytes {
    std::uintptr_t begin, end;
};
using runs = std::vector<run_of_bytes>;

template <class Element>
runs bytes_of(const distill::logits_view<Element>& v, bool with_padding = false) {
    runs found;
    const auto columns = static_cast<std::size_t>(with_padding ? v.row_stride : v.vocabulary);
    for (std::ptrdiff_t row = 0; row < v.rows; ++row) {
        const auto begin = reinterpret_cast<std::uintptr_t>(v.row(row));
        found.push_back({begin, begin + columns * sizeof(Element)});
    }
    return found;
}
template <class Narrow, class Wide>
runs bytes_of(const distill::row_array<Narrow, Wide>& a) {
    const auto begin = reinterpret_cast<std::uintptr_t>(a.address());
    return a.empty() ? runs{} : runs{{begin, begin + a.bytes()}};
}

bool share_a_byte(const runs& a, const runs& b) {
    return std::ranges::any_of(a, [&](run_of_bytes x) {
        return std::ranges::any_of(b, [&](run_of_bytes y) { return x.begin < y.end && y.begin < x.end; });
    });
}
// From the first byte to the last one.
bool are_entangled(const runs& a, const runs& b) {
    return !a.empty() && !b.empty() && a.front().begin < b.back().end && b.front().begin < a.back().end;
}

enum class verdict { accepted, refused, either, no_input };

// Outputs over inputs or over one another. Where they interleave without sharing a byte, both answers are good.
template <class Arguments>
verdict verdict_on_overlaps(const Arguments& a) {
    const auto& in = a.in;
    const runs losses = bytes_of(distill::row_values(a.row_losses));
    const runs gradient = bytes_of(a.gradient.view, a.zeroes_padding);
    std::vector<runs> inputs{bytes_of(in.teacher),        bytes_of(in.weights),         bytes_of(in.tokens),
                             bytes_of(in.teacher_tokens), bytes_of(in.labels),          bytes_of(in.old_log_probs),
                             bytes_of(in.advantages),     bytes_of(in.sequence_offsets)};
    std::vector<std::pair<runs, runs>> pairs{{losses, gradient}, {losses, bytes_of(in.student)}};
    if (!a.in_place()) pairs.emplace_back(gradient, bytes_of(in.student));
    for (const runs& input : inputs) {
        pairs.emplace_back(gradient, input);
        pairs.emplace_back(losses, input);
    }
    verdict found = verdict::accepted;
    for (const auto& [output, input] : pairs) {
        if (share_a_byte(output, input)) return verdict::refused;
        if (are_entangled(output, input)) found = verdict::either;
    }
    return found;
}

template <class Batch>
bool is_masked(const Batch& in, std::ptrdiff_t row) {
    return (!in.weights.empty() && in.weights[row] == 0.0) ||
           (!in.labels.empty() && in.labels[row] == distill::ignored_label);
}

template <class Objective, class Arguments>
verdict verdict_on(const parameters& p, const Arguments& a) {
    const auto& in = a.in;
    const std::ptrdiff_t rows = in.student.rows, vocabulary = in.student.vocabulary;
    const unsigned reads = Objective::reads(p);
    const auto same_shape = [&](const auto& v) { return legal(v) && v.rows == rows && v.vocabulary == vocabulary; };
    const bool denominator = !p.denominator || (std::isfinite(*p.denominator) && *p.denominator > 0.0);
    if (!Objective::legal(p) || !legal(p.all) || !denominator || !legal(in.student)) return verdict::refused;
    if (!in.teacher.absent() && !same_shape(in.teacher)) return verdict::refused;
    if (a.with_outputs && !same_shape(a.gradient.view)) return verdict::refused;
    for (const auto& numbers : {in.weights, in.old_log_probs, in.advantages})
        if (!legal(numbers, rows)) return verdict::refused;
    for (const auto& indices : {in.tokens, in.teacher_tokens, in.labels})
        if (!legal(indices, rows)) return verdict::refused;
    if (a.with_outputs && !legal(distill::row_values(a.row_losses), rows)) return verdict::refused;
    if (a.with_outputs && static_cast<std::ptrdiff_t>(a.row_losses.size()) != rows) return verdict::refused;

    if (promised(in.student, false) > static_cast<__int128>(a.student.held) ||
        promised(in.teacher, false) > static_cast<__int128>(a.teacher.held) ||
        (a.with_outputs && promised(a.gradient.view, a.zeroes_padding) > static_cast<__int128>(a.gradient.held)))
        return verdict::no_input;

    if (rows > 0) {
        const bool no_label = in.teacher_tokens.empty() && in.teacher.absent();
        if (((reads & teacher) != 0 && in.teacher.absent()) || ((reads & tokens) != 0 && in.tokens.empty()) ||
            ((reads & labels) != 0 && in.labels.empty()) || ((reads & teacher_label) != 0 && no_label) ||
            ((reads & numbers) != 0 && (in.advantages.empty() || in.old_log_probs.empty())) ||
            (Objective::sequences && in.sequence_offsets.empty()))
            return verdict::refused;
    }
    double weight = 0.0;
    for (std::ptrdiff_t row = 0; row < in.weights.size(); ++row) {
        if (!std::isfinite(in.weights[row]) || in.weights[row] < 0.0) return verdict::refused;
        weight += in.weights[row];
    }
    if (!std::isfinite(weight)) return verdict::refused;
    if (const auto& offsets = in.sequence_offsets; !offsets.empty()) {
        if (offsets.address() == nullptr || offsets[0] != 0 || offsets[offsets.size() - 1] != rows) return verdict::refused;
        for (std::ptrdiff_t s = 0; s + 1 < offsets.size(); ++s)
            if (offsets[s] > offsets[s + 1]) return verdict::refused;
    }
    const auto outside = [&](const distill::row_indices& ids, std::ptrdiff_t row) {
        return !ids.empty() && (ids[row] < 0 || ids[row] >= vocabulary);
    };
    for (std::ptrdiff_t row = 0; row < rows; ++row)
        if (!is_masked(in, row) && (((reads & tokens) != 0 && outside(in.tokens, row)) || outside(in.labels, row) ||
                                    ((reads & teacher_label) != 0 && outside(in.teacher_tokens, row))))
            return verdict::refused;
    return a.with_outputs ? verdict_on_overlaps(a) : verdict::accepted;
}

template <class Element>
double at(const distill::logits_view<Element>& v, std::ptrdiff_t row, std::ptrdiff_t column) {
    return static_cast<double>(v.row(row)[column]);
}

// NaN or +infinity somewhere, or nothing but -infinity, which begins at -2^100.
template <class Element>
bool has_no_softmax(const distill::logits_view<Element>& v, std::ptrdiff_t row) {
    bool all_masked = true;
    for (std::ptrdiff_t column = 0; column < v.vocabulary; ++column) {
        const double x = at(v, row, column);
        if (std::isnan(x) || x == std::numeric_limits<double>::infinity()) return true;
        all_masked = all_masked && x <= -0x1p100;
    }
    return all_masked;
}

// |x| / T of the entries that are not masked is at most 1000: float has the digits to compare two backends.
template <class Element>
bool is_ordinary(const distill::logits_view<Element>& v, std::ptrdiff_t row, double temperature) {
    for (std::ptrdiff_t column = 0; column < v.vocabulary; ++column)
        if (const double x = at(v, row, column); x > -0x1p100 && !(std::abs(x) <= 1e3 * temperature)) return false;
    return true;
}

// What an accepted call owes to a row: zeros; a loss on which the backends agree; any finite loss; NaN; or nothing, where its
// numbers overflow, and rightly so.
enum class row_kind { masked, ordinary, finite, not_finite, any };

template <class Objective, class Batch>
row_kind kind_of(const parameters& p, const Batch& in, std::ptrdiff_t row) {
    const unsigned reads = Objective::reads(p);
    if (is_masked(in, row)) return row_kind::masked;
    // A weight so small or large may vanish, or overflow, in the weight of its sequence.
    if (!in.weights.empty() && !within(in.weights[row], 1e-100, 1e100)) return row_kind::any;
    const bool wants_argmax = (reads & teacher_label) != 0 && in.teacher_tokens.empty();
    if (has_no_softmax(in.student, row)) return row_kind::not_finite;
    if (((reads & teacher) != 0 || wants_argmax) && has_no_softmax(in.teacher, row)) return row_kind::not_finite;
    if ((reads & numbers) != 0) {
        const double old_log_prob = in.old_log_probs[row];
        if (!std::isfinite(in.advantages[row]) || std::isnan(old_log_prob) ||
            (std::isinf(old_log_prob) && old_log_prob > 0.0))
            return row_kind::not_finite;
        // The ratio to an impossible token is held at the guard.
        if (std::isinf(old_log_prob) || std::abs(in.advantages[row]) > 1e6) return row_kind::any;
    }
    if (Objective::size(p) > 1e3 || (p.denominator && !within(*p.denominator, 1e-3, 1e3))) return row_kind::any;
    if (!in.weights.empty() && !within(in.weights[row], 1e-3, 1e3)) return row_kind::any;
    const double student = std::min(p.all.student, p.part.student), teacher = std::min(p.all.teacher, p.part.teacher);
    return is_ordinary(in.student, row, student) && (in.teacher.absent() || is_ordinary(in.teacher, row, teacher))
               ? row_kind::ordinary
               : row_kind::finite;
}

// ----------------------------------------------------------------------------------------------------------------- the call

// Keeps from being read what is not to be read.
class fence {
public:
    fence() = default;
    fence(const fence&) = delete;
    fence& operator=(const fence&) = delete;
    ~fence() {
        for (const run_of_bytes& r : closed_)
            __asan_unpoison_memory_region(reinterpret_cast<void*>(r.begin), r.end - r.begin);
    }

    // The padding, and rows that are masked. The last padding is there only where `held` says so.
    template <class Element>
    void close(const argument<Element>& a, const std::vector<row_kind>& kinds, bool masked_rows) {
        if (!a.own_block || a.view.absent()) return;
        for (std::ptrdiff_t row = 0; row < a.view.rows; ++row) {
            const std::ptrdiff_t begin = row * a.view.row_stride;
            const bool masked = masked_rows && kinds[static_cast<std::size_t>(row)] == row_kind::masked;
            close(a.data + begin + (masked ? 0 : a.view.vocabulary),
                  a.data + std::min<std::ptrdiff_t>(begin + a.view.row_stride, static_cast<std::ptrdiff_t>(a.held)));
        }
    }

private:
    template <class Element>
    void close(const Element* begin, const Element* end) {
        if (begin >= end) return;
        closed_.push_back({reinterpret_cast<std::uintptr_t>(begin), reinterpret_cast<std::uintptr_t>(end)});
        __asan_poison_memory_region(begin, static_cast<std::size_t>(end - begin) * sizeof(Element));
    }

    runs closed_{};
};

struct outcome {
    bool refused = false;
    distill::loss_result result{};
    std::vector<double> row_losses{}, gradient{};
};

// One call on one backend, with everything that holds for it alone. Memory is afterwards as it was before.
template <class Objective, class Arguments, class Backend>
outcome run(const parameters& p, const Arguments& a, fuzz::memory& memory, verdict expected,
            const std::vector<row_kind>& kinds, const Backend& backend) {
    using reduction = std::conditional_t<Objective::sequences, distill::sequence_mean, distill::token_mean>;
    const distill::loss f{Objective::make(p), backend, p.denominator ? reduction(*p.denominator) : reduction(), p.all};
    const auto before = memory.copy();
    outcome found;
    try {
        fence closed;
        if (expected == verdict::accepted || expected == verdict::either) {
            if (!a.with_outputs || !a.in_place()) closed.close(a.student, kinds, true);
            closed.close(a.teacher, kinds, true);
            if (a.with_outputs && !a.in_place() && !a.zeroes_padding) closed.close(a.gradient, kinds, false);
        }
        found.result = a.with_outputs ? f.per_token(a.in, a.row_losses, a.destination()) : f(a.in);
    } catch (const distill::invalid_input&) {
        fuzz::require(expected != verdict::accepted, "a legal call is accepted");
        fuzz::require(memory.is(before), "a refused call writes nothing");
        found.refused = true;
        return found;
    }
    fuzz::require(expected != verdict::refused, "an illegal call is refused");

    std::ptrdiff_t active = 0, least = 0, most = 0;
    for (const row_kind kind : kinds) {
        active += kind != row_kind::masked ? 1 : 0;
        least += kind == row_kind::not_finite ? 1 : 0;
        most += kind == row_kind::not_finite || kind == row_kind::any ? 1 : 0;
    }
    fuzz::require(found.result.active_rows == active, "active rows are those that are not masked");
    fuzz::require(found.result.nonfinite_rows >= least && found.result.nonfinite_rows <= most, "NaN rows are counted");
    fuzz::require(least == 0 || std::isnan(found.result.value), "the loss of a NaN row is NaN");
    fuzz::require(active > 0 || found.result.value == 0.0, "the loss without active rows is 0");
    if (!a.with_outputs) {
        fuzz::require(memory.is(before), "a call without outputs writes nothing");
        return found;
    }

    auto expected_memory = before;
    const auto& gradient = a.gradient.view;
    for (std::ptrdiff_t row = 0; row < gradient.rows; ++row) {
        const row_kind kind = kinds[static_cast<std::size_t>(row)];
        const auto loss = static_cast<double>(a.row_losses[static_cast<std::size_t>(row)]);
        found.row_losses.push_back(loss);
        fuzz::require(kind != row_kind::masked || loss == 0.0, "a masked row's loss is 0");
        fuzz::require(kind != row_kind::not_finite || std::isnan(loss), "the loss of a row that is not finite is NaN");
        fuzz::require((kind != row_kind::finite && kind != row_kind::ordinary) || std::isfinite(loss),
                      "the loss of a finite row is finite");
        for (std::ptrdiff_t column = 0; column < gradient.vocabulary; ++column) {
            const double dz = at(gradient, row, column);
            found.gradient.push_back(dz);
            fuzz::require(kind != row_kind::masked || a.adds || dz == 0.0, "a masked row's gradient is 0");
            fuzz::require(kind != row_kind::not_finite || std::isnan(dz), "the gradient of a row that is not finite is NaN");
        }
        if (a.zeroes_padding)
            for (std::ptrdiff_t column = gradient.vocabulary; column < gradient.row_stride; ++column)
                fuzz::require(at(gradient, row, column) == 0.0, "padding is zeroed where that is asked for");
        const auto columns = static_cast<std::size_t>(a.zeroes_padding ? gradient.row_stride : gradient.vocabulary);
        if (kind != row_kind::masked || !a.adds) {
            memory.accept(expected_memory, gradient.row(row), columns * sizeof(*gradient.data));
        } else if (a.zeroes_padding) {
            memory.accept(expected_memory, gradient.row(row) + gradient.vocabulary,
                          (columns - static_cast<std::size_t>(gradient.vocabulary)) * sizeof(*gradient.data));
        }
    }
    memory.accept(expected_memory, a.row_losses.data(), a.row_losses.size_bytes());
    fuzz::require(memory.is(expected_memory), "a call writes its outputs and nothing else");
    memory.restore(before);
    return found;
}

// Two backends on the same ordinary rows. Loose: float against double, rounded to the type stored.
template <class Objective, class Arguments>
void compare(const parameters& p, const Arguments& a, const std::vector<row_kind>& kinds, const outcome& one,
             const outcome& other) {
    fuzz::require(one.refused == other.refused, "two backends refuse the same calls");
    if (one.refused || one.result.clipped_rows != other.result.clipped_rows ||
        one.result.guarded_rows != other.result.guarded_rows)
        return;
    const double size = Objective::size(p) + 1e-6;
    const auto columns = static_cast<std::size_t>(a.in.student.vocabulary);
    for (std::size_t row = 0; row < one.row_losses.size(); ++row) {
        if (kinds[row] != row_kind::ordinary) continue;
        const double x = one.row_losses[row], y = other.row_losses[row];
        fuzz::require(std::abs(x - y) <= 1e-2 * (std::abs(x) + size), "the backends' losses agree");
        double largest = 0.0, difference = 0.0;
        for (std::size_t i = row * columns; i < (row + 1) * columns; ++i) {
            largest = std::max(largest, std::abs(one.gradient[i]));
            difference = std::max(difference, std::abs(one.gradient[i] - other.gradient[i]));
        }
        // What was there before an addition may be anything.
        if (a.adds && !std::isfinite(largest)) continue;
        const double weight =
            Objective::sequences || a.in.weights.empty() ? 1.0 : a.in.weights[static_cast<std::ptrdiff_t>(row)];
        const double unit = size * weight / one.result.denominator / std::min(p.all.student, p.part.student);
        fuzz::require(difference <= 5e-2 * largest + 2e-3 * unit, "the backends' gradients agree");
    }
}

template <class Objective, class Student, class Teacher, class Real>
void check(FuzzedDataProvider& bytes) {
    const parameters p = read_parameters(bytes);
    constexpr distill::instruction_set sets[] = {distill::instruction_set::avx512, distill::instruction_set::avx2,
                                                 distill::instruction_set::baseline};
    const distill::instruction_set widest = fuzz::pick(bytes, sets);
    fuzz::memory memory(std::size_t{1} << 14);
    const auto a = read_arguments<Student, Teacher, Real>(bytes, memory);
    const verdict expected = verdict_on<Objective>(p, a);
    if (expected == verdict::no_input) return;
    std::vector<row_kind> kinds;
    if (expected != verdict::refused)
        for (std::ptrdiff_t row = 0; row < a.in.student.rows; ++row) kinds.push_back(kind_of<Objective>(p, a.in, row));

    const outcome reference = run<Objective>(p, a, memory, expected, kinds, distill::reference{});
    // A row of scratch that ends where it has to.
    std::unique_ptr<std::byte[]> scratch;
    const auto exactly = [&](std::size_t size) {
        scratch.reset(new std::byte[size]);
        return static_cast<void*>(scratch.get());
    };
    const outcome eigen = run<Objective>(p, a, memory, expected, kinds, distill::eigen{distill::serial{}, exactly, widest});
    compare<Objective>(p, a, kinds, reference, eigen);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    FuzzedDataProvider bytes(data, size);
    switch (bytes.ConsumeIntegral<std::uint8_t>() % 5) {
        case 0:
            check<vocabulary_sum, float, float, double>(bytes);
            break;
        case 1:
            check<sum_of_all_kinds, float, float, double>(bytes);
            break;
        case 2:
            check<sum_of_all_kinds, Eigen::half, Eigen::bfloat16, float>(bytes);
            break;
        case 3:
            check<policy, float, Eigen::half, double>(bytes);
            break;
        default:
            check<powers, double, float, float>(bytes);
    }
    return 0;
}
