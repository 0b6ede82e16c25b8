/// The loss functor: objective x backend x reduction.
#pragma once

#include <distill/call/checked_call.hpp>
#include <distill/call/row_sums.hpp>
#include <distill/check/validate.hpp>
#include <distill/core/error.hpp>
#include <distill/core/result.hpp>
#include <distill/core/soft_cap.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

namespace distill::inline DISTILL_ABI {

namespace detail {

/// The objective a loss is made from. Anything else passes through; `loss` refuses it with a message.
template <class Part>
constexpr auto objective_or_self(const Part& part) {
    if constexpr (composable<Part>)
        return as_objective(part);
    else
        return part;
}
template <class Part>
using objective_of = decltype(objective_or_self(std::declval<const Part&>()));

/// Where the gradient of logits of type Student goes, whatever it was given as.
template <class Student, class Element>
constexpr gradient<Element> as_gradient(const gradient<Element>& destination) {
    return destination;
}
template <class Student, class Element>
constexpr gradient<Element> as_gradient(const logits_view<Element>& view) {
    return view;
}
template <class Student, class Other>
constexpr gradient<Student> as_gradient(const Other& destination) {
    static_assert(std::convertible_to<const Other&, gradient<Student>>,
                  "distill: the gradient's destination is a distill::logits_view or a distill::gradient, or {pointer, rows, "
                  "vocabulary} in braces");
    return destination;
}

struct call_archetype {};

}  // namespace detail

/// A backend runs a checked call: `run(call) const` calls call.run(team, begin, end) for every block of rows
/// (call/row_sums.hpp) and returns the blocks' sums added in their order.
template <class B>
concept backend = std::copy_constructible<B> && requires(const B& b, const detail::call_archetype& call) {
    { b.run(call) } -> std::same_as<call::row_sums>;
};

/// A backend on a device: `enqueue(call) const` enqueues the work of a checked call (call/checked_call.hpp), whose buffers
/// are the device's, in `memory` of at least `workspace_bytes(call)`. Where memory.is_stream_ordered is true, it takes
/// memory itself.
template <class B>
concept device_backend = std::copy_constructible<B> && requires(const B& b) {
    requires B::runs_on_device;
    { b.memory.data } -> std::convertible_to<const void*>;
    { b.memory.bytes } -> std::convertible_to<std::size_t>;
    { b.memory.is_stream_ordered } -> std::convertible_to<bool>;
};

/// A loss-and-gradient functor, composed at compile time.
///
///     distill::loss f{0.7 * reverse_kl{} + 0.3 * jensen_shannon{0.5}, eigen{}, token_mean{}};
///     distill::loss f{..., temperature{2.0}};                    // of both softmaxes; 1 where it is not given
///     distill::loss f{..., temperature{2.0}, soft_cap{30.0}};    // of logits whose cap is not applied yet
///     auto r = f(batch);             // r.value
///     auto r = f(batch, gradient);   // the loss, and dL/dz written to the gradient's buffer
///
/// It is a value: const, stateless between calls, safe to call from several threads at once. It owns no buffer and starts no
/// thread that the backend's executor was not given. What a backend allocates is said there.
///
/// Letters: z, p = softmax(z / T) student; w, q = softmax(w / T) teacher; y sampled token; y* teacher's token; V vocabulary.
///
/// Errors (invalid_input, or the error handler without exceptions): shapes, strides, null pointers, overlaps, token ids,
/// offsets, temperatures, parameters, fields that a term needs. All are found before the first write.
template <class Objective, class Backend, class Reduction, class Caps = no_soft_cap>
class loss {
    static_assert(detail::is_part<Objective, objective_part>,
                  "distill: the first argument of a loss is an objective: a term, a composition, or a sum of them; derive a "
                  "divergence of your own from distill::term<yours>");
    static_assert(backend<Backend> || device_backend<Backend>,
                  "distill: the second argument of a loss is a backend: distill::eigen, distill::reference");
    static_assert(reduction<Reduction>,
                  "distill: the third argument of a loss is a reduction: it has needs_sequences, sequence_factor(double) "
                  "const and denominator(row_totals) const");
    static_assert(std::is_same_v<Caps, no_soft_cap> || std::is_same_v<Caps, soft_cap>,
                  "distill: the fifth argument of a loss, after its temperature, is a distill::soft_cap");

public:
    template <class Part>
    constexpr loss(const Part& part, Backend backend, Reduction reduction, temperature t = {}, Caps caps = {})
        : objective_(detail::objective_or_self(part)),
          backend_(std::move(backend)),
          reduction_(std::move(reduction)),
          temperature_(t),
          caps_(caps) {}

    /// The reduced loss.
    template <class Student, class Teacher>
    loss_result operator()(const batch<Student, Teacher>& in) const {
        return run(in, row::no_gradient{}, no_rows{});
    }

    /// The reduced loss, and its gradient with respect to the student's logits. Destination is a logits_view or a gradient;
    /// its element type is the student's or another one. In braces, `{dz, rows, vocabulary}`, it is the student's.
    template <class Student, class Teacher, class Destination = gradient<Student>>
    loss_result operator()(const batch<Student, Teacher>& in, const Destination& destination) const {
        return run(in, detail::as_gradient<Student>(destination), no_rows{});
    }

    /// The rows' own losses, before weights and reduction: row_losses[i] = l_i, 0 for masked rows, NaN for non-finite ones.
    /// Real is float or double. The result is the reduced loss of the same rows.
    template <class Student, class Teacher, std::floating_point Real>
    loss_result per_token(const batch<Student, Teacher>& in, std::span<Real> row_losses) const {
        return run(in, row::no_gradient{}, row_losses);
    }
    template <class Student, class Teacher, std::floating_point Real, class Destination = gradient<Student>>
    loss_result per_token(const batch<Student, Teacher>& in, std::span<Real> row_losses,
                          const Destination& destination) const {
        return run(in, detail::as_gradient<Student>(destination), row_losses);
    }

    /// The loss and its gradient, with something else run ahead of every row: in one traversal (diagnose.hpp).
    template <class Student, class Teacher, class Before, class Destination>
    loss_result beside(const Before& before, const batch<Student, Teacher>& in, const Destination& destination) const {
        return run(in, detail::as_gradient<Student>(destination), no_rows{}, &before);
    }

    /// The loss of rows whose logits are in memory a window at a time (head/in_chunks.hpp): `windows(backend, call)` runs
    /// the rows of the checked call and returns their sums. The batch's logits and the destination say types and shape.
    template <class Student, class Teacher, class Destination, class Windows>
    loss_result in_windows(const batch<Student, Teacher>& in, const Destination& destination, const Windows& windows) const {
        if (const std::string error = error_of(in, row::no_gradient{}, no_rows{}); !error.empty()) {
            report_error(error);
            return {.value = quiet_nan()};
        }
        return reduced(call_of(in, destination, no_rows{}), [&](auto& call) { return windows(backend_, call); });
    }

    /// The same loss with another reduction.
    template <class Other>
    [[nodiscard]] constexpr loss<Objective, Backend, Other, Caps> reduced_by(Other reduction) const {
        return {objective_, backend_, std::move(reduction), temperature_, caps_};
    }

    /// On a device: the same calls, with the place of the result there as their last argument. They enqueue the work; every
    /// pointer is the device's.
    template <class Student, class Teacher>
    void operator()(const batch<Student, Teacher>& in, loss_result* result) const
        requires device_backend<Backend>
    {
        enqueue(in, row::no_gradient{}, no_rows{}, result);
    }
    template <class Student, class Teacher, class Destination = gradient<Student>>
    void operator()(const batch<Student, Teacher>& in, const Destination& destination, loss_result* result) const
        requires device_backend<Backend>
    {
        enqueue(in, detail::as_gradient<Student>(destination), no_rows{}, result);
    }
    template <class Student, class Teacher, std::floating_point Real>
    void per_token(const batch<Student, Teacher>& in, std::span<Real> row_losses, loss_result* result) const
        requires device_backend<Backend>
    {
        enqueue(in, row::no_gradient{}, row_losses, result);
    }
    template <class Student, class Teacher, std::floating_point Real, class Destination = gradient<Student>>
    void per_token(const batch<Student, Teacher>& in, std::span<Real> row_losses, const Destination& destination,
                   loss_result* result) const
        requires device_backend<Backend>
    {
        enqueue(in, detail::as_gradient<Student>(destination), row_losses, result);
    }

    /// On a device: how many bytes the backend's workspace has to have for a batch of this shape.
    template <class Student, class Teacher>
    [[nodiscard]] std::size_t workspace_bytes(const batch<Student, Teacher>& in) const
        requires device_backend<Backend>
    {
        return Backend::workspace_bytes(call_of(in, row::no_gradient{}, no_rows{}));
    }

    [[nodiscard]] constexpr const temperature& softmax_temperature() const noexcept { return temperature_; }
    [[nodiscard]] constexpr const Caps& soft_caps() const noexcept { return caps_; }

private:
    using no_rows = std::span<double, 0>;

    template <class Student, class Teacher, class Destination, class Rows, class Before = std::nullptr_t>
    loss_result run(const batch<Student, Teacher>& in, const Destination& destination, const Rows& row_losses,
                    [[maybe_unused]] Before before = nullptr) const {
        if (const std::string error = error_of(in, destination, row_losses); !error.empty()) {
            report_error(error);
            return {.value = quiet_nan()};
        }
        return reduced(call_of(in, destination, row_losses), [&](auto& call) {
            if constexpr (std::is_same_v<Before, std::nullptr_t>)
                return backend_.run(call);
            else
                return backend_.run(
                    call::call_beside<std::remove_cvref_t<decltype(*before)>, std::remove_cvref_t<decltype(call)>>{*before,
                                                                                                                   call});
        });
    }

    /// The result of a checked call whose rows `run_rows(call)` runs.
    template <class Call, class RunRows>
    loss_result reduced(Call call, const RunRows& run_rows) const {
        const row_totals totals = call.weigher().totals();
        call.denominator = totals.active_rows == 0 ? 0.0 : reduction_.denominator(totals);
        const call::row_sums sums = run_rows(call);
        return call::result_of(sums, totals, call.denominator);
    }

    template <class Student, class Teacher, class Destination, class Rows>
    void enqueue(const batch<Student, Teacher>& in, const Destination& destination, const Rows& row_losses,
                 loss_result* result) const {
        auto call = call_of(in, destination, row_losses);
        call.result = result;
        std::string error = error_of(in, destination, row_losses);
        if (error.empty() && result == nullptr) error = "the result is a null pointer";
        if (error.empty() && !backend_.memory.is_stream_ordered)
            error = detail::workspace_error(backend_.memory.data, backend_.memory.bytes, Backend::workspace_bytes(call));
        if (!error.empty()) return report_error(error);
        backend_.enqueue(call);
    }

    template <class Student, class Teacher, class Destination, class Rows>
    auto call_of(const batch<Student, Teacher>& in, const Destination& destination, const Rows& row_losses) const {
        static_assert(logit_element<Student> && logit_element<Teacher>,
                      "distill: logits are stored as float, double, or a 16-bit floating-point type");
        using call_type = call::checked_call<Objective, Reduction, Student, Teacher, Destination, Caps>;
        if constexpr (call_type::writes)
            static_assert(logit_element<typename call_type::gradient_type>,
                          "distill: the gradient is written as float, double, or a 16-bit floating-point type, not const");
        return call_type{.objective = objective_,
                         .reduction = reduction_,
                         .softmax_temperature = temperature_,
                         .temperatures = row::group_temperatures(objective_, temperature_),
                         .in = in,
                         .caps = caps_,
                         .destination = destination,
                         .row_losses = row_losses,
                         .needed = detail::needed_fields(objective_)};
    }

    template <class Student, class Teacher, class Destination, class Rows>
    std::string error_of(const batch<Student, Teacher>& typed, const Destination& destination,
                         const Rows& row_losses) const {
        constexpr bool writes = !std::is_same_v<Destination, row::no_gradient>;
        const detail::untyped_batch in(typed);
        const auto terms = detail::facts_of_terms(objective_);
        detail::call_checker checker;
        detail::check_objective(checker, terms, detail::temperatures_of(objective_, temperature_));
        if constexpr (std::is_same_v<Caps, soft_cap>) detail::check_soft_cap(checker, caps_);
        if constexpr (requires { reduction_.domain_error(); })
            if (const char* problem = reduction_.domain_error(); problem != nullptr)
                checker.refuse({detail::type_name<Reduction>(), ": ", problem});
        if (checker.fine())
            detail::check_batch(checker, terms, temperature_, Reduction::needs_sequences, in, !device_backend<Backend>);
        if constexpr (writes)
            if (checker.fine())
                detail::check_gradient(checker, destination.view, destination.zeroes_padding,
                                       std::is_same_v<decltype(destination.view), logits_view<Student>>, in);
        if constexpr (!std::is_same_v<Rows, no_rows>) {
            const detail::untyped_array rows(row_losses);
            detail::check_row_results(checker, "row_losses", rows, in);
            checker.alignment("row_losses", rows);
            if (checker.fine()) detail::check_output(checker, "row_losses", detail::region_of(rows), false, in);
            if constexpr (writes)
                checker.no_overlap("row_losses", detail::region_of(rows), "gradient",
                                   detail::region_of(destination.view, destination.zeroes_padding));
        }
        return checker.error();
    }

    Objective objective_;
    [[no_unique_address]] Backend backend_;
    Reduction reduction_;
    temperature temperature_;
    [[no_unique_address]] Caps caps_;
};

template <class Part, class Backend, class Reduction>
loss(const Part&, Backend, Reduction, temperature = {}) -> loss<detail::objective_of<Part>, Backend, Reduction>;
template <class Part, class Backend, class Reduction, class Caps>
loss(const Part&, Backend, Reduction, temperature, Caps) -> loss<detail::objective_of<Part>, Backend, Reduction, Caps>;

}  // namespace distill::inline DISTILL_ABI
