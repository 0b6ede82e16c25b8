// Sequence offsets and weights of any values under every reduction: offsets are refused exactly where they do not cover the
// rows in order, and what is accepted is weighed as the reduction's formula says.
#include <distill/distill.hpp>

#include <fuzz/fuzz.hpp>

#include <cmath>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

namespace {

constexpr std::ptrdiff_t vocabulary = 2;

struct rows_of_a_call {
    std::ptrdiff_t rows = 0;
    std::vector<double> weights{};  // empty, or one per row
    std::vector<std::int64_t> offsets{};
    bool narrow = false;  // int32 and float instead of int64 and double
    std::optional<double> denominator{};
};

rows_of_a_call read(FuzzedDataProvider& bytes) {
    rows_of_a_call call;
    // More rows than a backend has blocks: a block then begins in the middle of a sequence.
    call.rows = fuzz::one_in(bytes, 8) ? bytes.ConsumeIntegralInRange<std::ptrdiff_t>(0, 700)
                                       : bytes.ConsumeIntegral<std::uint8_t>() % 24;
    call.narrow = bytes.ConsumeBool();
    if (bytes.ConsumeBool()) call.denominator = fuzz::parameter(bytes, {1.0, 8.0, 0.5, 0.0});
    const bool covers = !fuzz::one_in(bytes, 3);
    if (covers) call.offsets.push_back(0);
    for (int n = bytes.ConsumeIntegral<std::uint8_t>() % 20; n > 0; --n) {
        const std::int64_t before = call.offsets.empty() ? 0 : call.offsets.back();
        const std::int64_t step = bytes.ConsumeIntegral<std::uint8_t>();
        if (covers)
            call.offsets.push_back(std::min<std::int64_t>(before + step % 64, call.rows));
        else
            call.offsets.push_back(step < 192 ? static_cast<std::int32_t>(before) + (step - 64) % 32
                                              : bytes.ConsumeIntegral<std::int64_t>());
    }
    if (covers) call.offsets.push_back(call.rows);
    if (call.narrow)
        for (std::int64_t& o : call.offsets) o = static_cast<std::int32_t>(o);
    if (bytes.ConsumeBool()) {
        const bool positive = !fuzz::one_in(bytes, 3);
        for (std::ptrdiff_t row = 0; row < call.rows; ++row) {
            const double any = fuzz::number(bytes);
            call.weights.push_back(positive ? std::max(0.0, std::round(8.0 * std::min(any, 4.0)) / 8.0) : any);
            if (call.narrow) call.weights.back() = static_cast<float>(call.weights.back());
        }
    }
    return call;
}

bool cover_the_rows(const rows_of_a_call& call) {
    if (call.offsets.empty()) return true;
    for (std::size_t s = 0; s + 1 < call.offsets.size(); ++s)
        if (call.offsets[s] > call.offsets[s + 1]) return false;
    return call.offsets.front() == 0 && call.offsets.back() == call.rows;
}

bool weights_are_legal(const rows_of_a_call& call) {
    return std::ranges::all_of(call.weights, [](double w) { return std::isfinite(w) && w >= 0.0; }) &&
           std::isfinite(std::accumulate(call.weights.begin(), call.weights.end(), 0.0));
}

// Rounding and overflow say nothing about offsets: values are compared for weights of ordinary size only.
bool weights_are_ordinary(const rows_of_a_call& call) {
    return std::ranges::all_of(call.weights, [](double w) { return w == 0.0 || (w > 1e-6 && w < 1e6); });
}

enum class kind { token_mean, token_sum, sequence_mean, sequence_mean_of_sums };

// The factor of each row's loss and gradient, by the formulas of docs/objectives.md.
std::vector<double> factors(const rows_of_a_call& call, kind k) {
    const auto weight = [&](std::ptrdiff_t row) {
        return call.weights.empty() ? 1.0 : call.weights[static_cast<std::size_t>(row)];
    };
    std::vector<double> found(static_cast<std::size_t>(call.rows));
    double sum = 0.0;
    for (std::ptrdiff_t row = 0; row < call.rows; ++row) sum += found[static_cast<std::size_t>(row)] = weight(row);
    double denominator = k == kind::token_sum ? 1.0 : sum;
    if (k == kind::sequence_mean || k == kind::sequence_mean_of_sums) {
        denominator = 0.0;
        for (std::size_t s = 0; s + 1 < call.offsets.size(); ++s) {
            double of_sequence = 0.0;
            for (auto row = call.offsets[s]; row < call.offsets[s + 1]; ++row) of_sequence += weight(row);
            if (of_sequence == 0.0) continue;
            denominator += 1.0;
            if (k == kind::sequence_mean)
                for (auto row = call.offsets[s]; row < call.offsets[s + 1]; ++row)
                    found[static_cast<std::size_t>(row)] /= of_sequence;
        }
    }
    if (sum == 0.0) return std::vector<double>(found.size(), 0.0);
    for (double& f : found) f /= call.denominator.value_or(denominator);
    return found;
}

template <class Narrow, class Wide, class Values>
distill::row_array<Narrow, Wide> array_of(fuzz::memory& memory, const Values& values, bool narrow) {
    const auto fill = [&](auto* block) {
        for (std::size_t i = 0; i < values.size(); ++i)
            block[i] = static_cast<std::remove_pointer_t<decltype(block)>>(values[i]);
        return distill::row_array<Narrow, Wide>(block, values.size());
    };
    if (values.empty()) return {};
    return narrow ? fill(memory.own<Narrow>(values.size())) : fill(memory.own<Wide>(values.size()));
}

// Row i has p = (1/2, 1/2) and q = (1 - 2^-(1 + i % 4), the rest): its gradient is factor * (p - q).
double teacher_of(std::ptrdiff_t row) { return 1.0 - std::exp2(-1.0 - static_cast<double>(row % 4)); }
double row_loss(std::ptrdiff_t row) {
    const double q = teacher_of(row);
    return q * std::log(2.0 * q) + (1.0 - q) * std::log(2.0 * (1.0 - q));
}

template <class Reduction, class Backend>
void check(const rows_of_a_call& call, kind k, const Reduction& reduction, const Backend& backend) {
    fuzz::memory memory(0);
    const auto count = static_cast<std::size_t>(call.rows * vocabulary);
    auto* student = memory.own<float>(count);
    auto* teacher = memory.own<float>(count);
    auto* gradient = memory.own<float>(count);
    for (std::ptrdiff_t row = 0; row < call.rows; ++row) {
        teacher[row * vocabulary] = static_cast<float>(std::log(teacher_of(row) / (1.0 - teacher_of(row))));
        gradient[row * vocabulary] = 42.0f;
    }
    const distill::batch<float> in{
        .student = {student, call.rows, vocabulary},
        .teacher = {teacher, call.rows, vocabulary},
        .weights = array_of<float, double>(memory, call.weights, call.narrow),
        .sequence_offsets = array_of<std::int32_t, std::int64_t>(memory, call.offsets, call.narrow)};
    const bool legal = cover_the_rows(call) && weights_are_legal(call) &&
                       (!call.denominator || (std::isfinite(*call.denominator) && *call.denominator > 0.0)) &&
                       !(Reduction::needs_sequences && call.offsets.empty() && call.rows > 0);
    auto before = memory.copy();
    distill::loss_result result;
    try {
        result = distill::loss{distill::forward_kl{}, backend, reduction}(in, {gradient, call.rows, vocabulary});
        fuzz::require(legal, "offsets, weights and denominators outside their domain are refused");
    } catch (const distill::invalid_input&) {
        fuzz::require(!legal, "offsets that cover the rows, and weights and denominators in their domain, are accepted");
        fuzz::require(memory.is(before), "a refused call writes nothing");
        return;
    }
    memory.accept(before, gradient, count * sizeof(float));
    fuzz::require(memory.is(before), "a call writes nothing but its outputs");
    if (!weights_are_ordinary(call) || (call.denominator && !(*call.denominator > 1e-6 && *call.denominator < 1e6))) return;

    const std::vector<double> factor = factors(call, k);
    double expected = 0.0;
    for (std::ptrdiff_t row = 0; row < call.rows; ++row) {
        const double f = factor[static_cast<std::size_t>(row)], dz = f * (0.5 - teacher_of(row));
        expected += f * row_loss(row);
        fuzz::require(std::abs(gradient[row * vocabulary] - dz) <= 1e-5 * std::abs(dz), "a row is weighed by the formula");
        fuzz::require(f != 0.0 || gradient[row * vocabulary] == 0.0f, "a masked row's gradient is zero");
    }
    fuzz::require(std::abs(result.value - expected) <= 1e-5 * std::abs(expected),
                  "the loss is the weighted sum of the rows'");
}

template <class Reduction>
void check(const rows_of_a_call& call, kind k) {
    const Reduction reduction = call.denominator ? Reduction(*call.denominator) : Reduction();
    check(call, k, reduction, distill::reference{});
    check(call, k, reduction, distill::eigen{});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    FuzzedDataProvider bytes(data, size);
    const int reduction = bytes.ConsumeIntegral<std::uint8_t>() % 5;
    const rows_of_a_call call = read(bytes);
    switch (reduction) {
        case 0:
            check<distill::token_mean>(call, kind::token_mean);
            break;
        case 1:
            check<distill::token_sum>(call, kind::token_sum);
            break;
        case 2:
            check<distill::sequence_mean>(call, kind::sequence_mean);
            break;
        case 3:
            check<distill::sequence_mean_of_sums>(call, kind::sequence_mean_of_sums);
            break;
        default:
            if (call.denominator) {
                const distill::normalized_by reduction_by(*call.denominator);
                check(call, kind::token_sum, reduction_by, distill::reference{});
                check(call, kind::token_sum, reduction_by, distill::eigen{});
            }
    }
    return 0;
}
