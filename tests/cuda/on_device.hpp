// A call of the CUDA backend on host data: copied there, run, and copied back.
#pragma once

#include <distill/backend/cuda.cuh>
#include <distill/distill.hpp>

#include <support/comparisons.hpp>
#include <support/rows.hpp>
#include <support/tolerances.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace distill_test {

inline void hold(cudaError_t status) { REQUIRE(status == cudaSuccess); }

// What the library says of a call that it refuses.
template <class Call>
std::string refusal(const Call& call) {
    try {
        call();
    } catch (const distill::invalid_input& error) {
        return error.what();
    }
    return "accepted";
}

// Memory of the device, as long as it is asked to be.
template <class T>
class device_vector {
public:
    explicit device_vector(std::size_t size) : size_(size) {
        if (size > 0) hold(cudaMalloc(&data_, size * sizeof(T)));
    }
    explicit device_vector(const std::vector<T>& values) : device_vector(values.size()) {
        if (size_ > 0) hold(cudaMemcpy(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice));
    }
    device_vector(device_vector&& other) noexcept : data_(other.data_), size_(other.size_) { other.data_ = nullptr; }
    ~device_vector() { static_cast<void>(cudaFree(data_)); }

    [[nodiscard]] T* data() const { return data_; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::vector<T> values() const {
        std::vector<T> copy(size_);
        if (size_ > 0) hold(cudaMemcpy(copy.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost));
        return copy;
    }

private:
    T* data_ = nullptr;
    std::size_t size_ = 0;
};

// How a matrix stands in memory: its rows are `padding` columns apart, and the first begins `offset` elements in.
struct placement {
    std::size_t padding = 0, offset = 0;
};

struct device_answer {
    distill::loss_result result;
    std::vector<double> row_losses;
    std::vector<double> gradient;  // without padding
    bool padding_as_asked = true;  // untouched, or zeros
};

// A sum with a dlogp_sum, a token term and the teacher's argmax.
inline const auto mixed_objective =
    0.5 * distill::reverse_kl{} + 0.3 * distill::forward_kl{} + distill::tgpo{.coefficient = 0.1};

// What no gradient of these tests is.
inline constexpr double untouched = 77.0;

template <class Element>
Element stored_as(double x) {
    if constexpr (std::is_same_v<Element, double>)
        return x;
    else
        return static_cast<Element>(static_cast<float>(x));
}
template <class Element>
double read_back(Element x) {
    if constexpr (std::is_same_v<Element, double>)
        return x;
    else
        return static_cast<double>(static_cast<float>(x));
}

template <class Element>
std::vector<Element> placed(const std::vector<double>& values, std::size_t rows, std::size_t vocabulary, placement at) {
    std::vector<Element> memory(at.offset + rows * (vocabulary + at.padding), stored_as<Element>(untouched));
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t v = 0; v < vocabulary; ++v)
            memory[at.offset + r * (vocabulary + at.padding) + v] = stored_as<Element>(values[r * vocabulary + v]);
    return memory;
}

// The logits as they are stored.
template <class Element>
filled_rows stored_rows(filled_rows in) {
    for (auto* values : {&in.student, &in.teacher})
        for (double& x : *values) x = read_back(stored_as<Element>(x));
    return in;
}

// What a test varies beside the objective and the rows.
struct device_call_options {
    distill::temperature temperature{};
    placement logits{}, gradient{};
    bool in_place = false, adds = false, zeroes_padding = false;
    std::vector<std::int64_t> sequence_offsets{}, top_tokens{};
    std::vector<double> temperatures{}, coefficients{}, top_log_probs{};
};

template <class Element, class Objective, class Reduction, class Caps = distill::no_soft_cap, class Backend = distill::cuda>
device_answer on_device(const Objective& objective, const Reduction& reduction, const filled_rows& in,
                        const device_call_options& options = {}, const Caps& caps = {}, Backend backend = {}) {
    const std::size_t rows = in.rows, vocabulary = in.vocabulary;
    const auto matrix = [&](const device_vector<Element>& memory, placement at) {
        return distill::logits_view<Element>{memory.data() + at.offset, rows, vocabulary, vocabulary + at.padding};
    };
    const device_vector<Element> student(placed<Element>(in.student, rows, vocabulary, options.logits)),
        teacher(placed<Element>(in.teacher, rows, vocabulary, options.logits));
    const std::vector<double> before(rows * vocabulary, options.adds ? 0.5 : untouched);
    const device_vector<Element> elsewhere(placed<Element>(before, rows, vocabulary, options.gradient));
    const device_vector<double> weights(in.weights), old_log_probs(in.old_log_probs),
        teacher_log_probs(in.teacher_log_probs), advantages(in.advantages), ratios(in.sequence_log_ratios), row_losses(rows),
        temperatures(options.temperatures), coefficients(options.coefficients), top_log_probs(options.top_log_probs);
    const device_vector<std::int64_t> tokens(in.tokens), teacher_tokens(in.teacher_tokens), labels(in.labels),
        offsets(options.sequence_offsets), top_tokens(options.top_tokens);
    const device_vector<distill::loss_result> result(1);

    const distill::batch<Element> batch{.student = matrix(student, options.logits),
                                        .teacher = matrix(teacher, options.logits),
                                        .weights = {weights.data(), weights.size()},
                                        .tokens = {tokens.data(), tokens.size()},
                                        .teacher_tokens = {teacher_tokens.data(), teacher_tokens.size()},
                                        .labels = {labels.data(), labels.size()},
                                        .old_log_probs = {old_log_probs.data(), old_log_probs.size()},
                                        .teacher_log_probs = {teacher_log_probs.data(), teacher_log_probs.size()},
                                        .advantages = {advantages.data(), advantages.size()},
                                        .sequence_offsets = {offsets.data(), offsets.size()},
                                        .temperatures = {temperatures.data(), temperatures.size()},
                                        .coefficients = {coefficients.data(), coefficients.size()},
                                        .top_tokens = {top_tokens.data(), top_tokens.size()},
                                        .top_log_probs = {top_log_probs.data(), top_log_probs.size()},
                                        .sequence_log_ratios = {ratios.data(), ratios.size()}};
    const distill::loss sizing{objective, backend, reduction, options.temperature, caps};
    const device_vector<unsigned char> memory(sizing.workspace_bytes(batch));
    hold(cudaStreamCreate(&backend.stream));
    backend.memory = {memory.data(), memory.size()};
    const distill::loss f{objective, backend, reduction, options.temperature, caps};
    distill::gradient<Element> destination =
        options.in_place ? matrix(student, options.logits) : matrix(elsewhere, options.gradient);
    destination.adds = options.adds;
    destination.zeroes_padding = options.zeroes_padding;
    f.per_token(batch, std::span(row_losses.data(), rows), destination, result.data());
    hold(cudaStreamSynchronize(backend.stream));
    hold(cudaStreamDestroy(backend.stream));

    const auto [padding, offset] = options.in_place ? options.logits : options.gradient;
    const std::vector<Element> written = (options.in_place ? student : elsewhere).values();
    device_answer answer{result.values()[0], row_losses.values(), std::vector<double>(rows * vocabulary)};
    for (std::size_t i = 0; i < written.size(); ++i) {
        const std::size_t column = i < offset ? vocabulary : (i - offset) % (vocabulary + padding);
        const double x = read_back(written[i]), expected = options.zeroes_padding && i >= offset ? 0.0 : untouched;
        if (column < vocabulary)
            answer.gradient[(i - offset) / (vocabulary + padding) * vocabulary + column] = x;
        else
            answer.padding_as_asked = answer.padding_as_asked && x == expected;
    }
    return answer;
}

// The same on the reference, in double.
template <class Objective, class Reduction, class Caps = distill::no_soft_cap>
device_answer on_reference(const Objective& objective, const Reduction& reduction, const filled_rows& in,
                           const device_call_options& options = {}, const Caps& caps = {}) {
    const distill::loss f{objective, distill::reference{}, reduction, options.temperature, caps};
    device_answer answer{.result = {},
                         .row_losses = std::vector<double>(in.rows),
                         .gradient = std::vector<double>(in.student.size(), options.adds ? 0.5 : 0.0)};
    distill::batch<double> batch = batch_of(in, in.student, in.teacher);
    batch.sequence_offsets = options.sequence_offsets;
    batch.temperatures = options.temperatures;
    batch.coefficients = options.coefficients;
    batch.top_tokens = options.top_tokens;
    batch.top_log_probs = options.top_log_probs;
    distill::gradient<double> destination(answer.gradient.data(), in.rows, in.vocabulary);
    destination.adds = options.adds;
    answer.result = f.per_token(batch, std::span(answer.row_losses), destination);
    return answer;
}

// Loss, row losses, gradient and counts. `rounding`: of one gradient entry to its storage type, relative.
inline void agree(const device_answer& found, const device_answer& expected, double allowed = tolerance::single_loss,
                  double rounding = 0.0) {
    CHECK(deviation(found.result.value, expected.result.value) <= allowed);
    CHECK(deviation(found.row_losses, expected.row_losses) <= allowed);
    CHECK(deviation(found.gradient, expected.gradient) <= allowed + rounding);
    CHECK(found.result.denominator == expected.result.denominator);
    CHECK(found.result.active_rows == expected.result.active_rows);
    CHECK(found.result.nonfinite_rows == expected.result.nonfinite_rows);
    CHECK(found.result.clipped_rows == expected.result.clipped_rows);
    CHECK(found.result.guarded_rows == expected.result.guarded_rows);
    CHECK(found.padding_as_asked);
}

}  // namespace distill_test
