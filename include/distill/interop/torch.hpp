/// LibTorch's tensors: a loss as a node of autograd, and without it; LibTorch's threads as an executor.
///
///     const distill::loss f{distill::forward_kl{}, distill::eigen{distill::torch_threads{}}, distill::token_mean{}};
///     torch::Tensor l = distill::torch_loss(f, student, teacher, {.weights = mask});
///     (0.5 * l + cross_entropy).backward();
///
/// Logits are [rows, vocabulary] or [batch, time, vocabulary], or have more leading dimensions, up to 8 in all: float64,
/// float32, float16 or bfloat16, the teacher's of the student's type or float32. They are on the processor. Logits whose
/// rows are not one stride apart are copied; all others are read where they are, and none is written.
///
/// Errors (invalid_input): what f itself refuses; unequal shapes; another element type or device; a teacher or a field that
/// requires a gradient; a second derivative. detail/host_call.hpp has the sentences.
#pragma once

#include <distill/core/error.hpp>
#include <distill/core/result.hpp>
#include <distill/interop/detail/host_call.hpp>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#if __has_include(<torch/headeronly/version.h>)
#include <torch/headeronly/version.h>
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 10)
#include <torch/csrc/stable/c/shim.h>
#define DISTILL_TORCH_RUNS_LOOPS
#endif
#endif

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <type_traits>

namespace distill::inline DISTILL_ABI {

/// LibTorch's own threads, as many as at::set_num_threads says. Before LibTorch 2.10 its loop is a template that runs in
/// parallel only where the program is compiled with -fopenmp; without it the calling thread does the work.
struct torch_threads {
    template <class Body>
    void operator()(std::ptrdiff_t count, const Body& body) const {
#if defined(DISTILL_TORCH_RUNS_LOOPS)
        const auto run = [](std::int64_t begin, std::int64_t end, void* of) {
            for (; begin < end; ++begin) (*static_cast<const Body*>(of))(static_cast<std::ptrdiff_t>(begin));
        };
        torch_parallel_for(0, count, 1, run, const_cast<void*>(static_cast<const void*>(&body)));
#else
        at::parallel_for(0, count, 1, [&](std::int64_t begin, std::int64_t end) {
            for (; begin < end; ++begin) body(static_cast<std::ptrdiff_t>(begin));
        });
#endif
    }
};

/// The fields of a batch beside its logits, as tensors: `{.weights = mask, .labels = labels}`. Weights, advantages and
/// log-probabilities may be of any real type, a mask of bool among them; ids, labels and offsets of any integer type.
using torch_fields = host_fields<at::Tensor>;

namespace detail {

inline element_type element_type_of(at::ScalarType type) {
    switch (type) {
        case at::kDouble:
            return element_type::float64;
        case at::kFloat:
            return element_type::float32;
        case at::kHalf:
            return element_type::float16;
        case at::kBFloat16:
            return element_type::bfloat16;
        case at::kLong:
            return element_type::int64;
        case at::kInt:
            return element_type::int32;
        default:
            return element_type::other;
    }
}

inline at::ScalarType scalar_type_of(element_type type) {
    return type == element_type::float64    ? at::kDouble
           : type == element_type::bfloat16 ? at::kBFloat16
           : type == element_type::float16  ? at::kHalf
                                            : at::kFloat;
}

inline host_tensor host_tensor_of(const at::Tensor& tensor) {
    if (!tensor.defined()) return {};
    host_tensor found{.type = element_type_of(tensor.scalar_type()),
                      .type_name = at::toString(tensor.scalar_type()),
                      .given = true,
                      .asks_for_gradient = at::GradMode::is_enabled() && tensor.requires_grad()};
    if (!tensor.device().is_cpu()) {
        found.elsewhere = tensor.device().str();
    } else if (tensor.layout() != at::kStrided) {
        found.type = element_type::other;
        found.type_name += " of a layout without strides";
    } else {
        found.data = tensor.data_ptr();
        found.axes = axes_of(
            tensor.dim(), [&](std::size_t i) { return tensor.size(static_cast<std::int64_t>(i)); },
            [&](std::size_t i) { return tensor.stride(static_cast<std::int64_t>(i)); });
    }
    return found;
}

/// The tensors of a call, and copies where the library cannot read them as they are.
struct torch_call {
    at::Tensor student, teacher, gradient{};
    torch_fields fields;
    host_call host{};

    torch_call(const at::Tensor& z, const at::Tensor& w, const torch_fields& given) : fields(given) {
        // Before a copy is made, which asks for no gradient.
        host.student = host_tensor_of(z);
        host.teacher = host_tensor_of(w);
        for_each_field([](const batch_field&, host_tensor& to, const at::Tensor& from) { to = host_tensor_of(from); },
                       host.fields, fields);
        const at::NoGradGuard constant;
        student = logits(z, host.student);
        teacher = logits(w, host.teacher);
        batch<float> types;
        for_each_field(
            [](const batch_field&, at::Tensor& tensor, host_tensor& described, const auto& array) {
                using array_type = std::remove_cvref_t<decltype(array)>;
                numbers(tensor, described, std::is_same_v<array_type, row_indices>);
            },
            fields, host.fields, types);
    }

    /// Makes room for the gradient.
    void add_gradient() {
        const host_checker checked(host);
        if (!checked.error().empty()) return report_error({checked.error()});
        gradient =
            at::empty(student.sizes(),
                      student.options().requires_grad(false).dtype(scalar_type_of(gradient_type_of(host.student.type))));
        host.gradient = host_tensor_of(gradient);
    }

    /// The type of a loss: double where the logits are, else float.
    [[nodiscard]] at::TensorOptions loss_options() const {
        return student.options().requires_grad(false).dtype(student.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
    }

private:
    /// Puts a copy in the place of a tensor, and its address and strides into the description.
    static at::Tensor replaced(const at::Tensor& by, host_tensor& described) {
        const bool asks = described.asks_for_gradient;
        described = host_tensor_of(by);
        described.asks_for_gradient = asks;
        return by;
    }
    static bool has_memory(const host_tensor& described) {
        return described.given && described.elsewhere.empty() && described.axes.rank > 0;
    }

    static at::Tensor logits(const at::Tensor& tensor, host_tensor& described) {
        if (!has_memory(described)) return tensor;
        const std::size_t bytes = bytes_of(described.type);
        const bool readable =
            !tensor.is_neg() && rows_of_logits(described.axes, {described.data, bytes, bytes}).problem.empty();
        return readable ? tensor : replaced(tensor.resolve_neg().contiguous(), described);
    }

    static void numbers(at::Tensor& tensor, host_tensor& described, bool integers) {
        if (!has_memory(described)) return;
        const at::ScalarType type = tensor.scalar_type();
        const bool is_integer = at::isIntegralType(type, false);
        at::ScalarType target = type;
        if (integers && is_integer && type != at::kInt) target = at::kLong;
        if (!integers && (is_integer || type == at::kBool || type == at::kHalf || type == at::kBFloat16))
            target = type == at::kLong ? at::kDouble : at::kFloat;
        tensor = replaced(tensor.resolve_neg().to(target).contiguous(), described);
    }
};

/// A loss, or one loss per row, whose gradient is known.
struct torch_node : torch::autograd::Function<torch_node> {
    static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& student, const at::Tensor* loss,
                              const at::Tensor* gradient) {
        context->save_for_backward({*gradient});
        context->saved_data["type"] = static_cast<std::int64_t>(student.scalar_type());
        return *loss;
    }

    static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                   torch::autograd::variable_list of_loss) {
        if (at::GradMode::is_enabled()) refuse_second_derivative();
        const at::Tensor& factor = of_loss[0];
        if (!factor.defined()) return {at::Tensor(), at::Tensor(), at::Tensor()};
        const at::Tensor gradient = context->get_saved_variables()[0];
        const auto type = static_cast<at::ScalarType>(context->saved_data["type"].toInt());
        at::Tensor scaled = gradient;
        if (factor.dim() > 0)
            scaled = gradient * factor.unsqueeze(-1);
        else if (factor.item<double>() != 1.0)
            scaled = gradient * factor;
        // Never in place: a second backward reads the gradient again.
        return {scaled.to(type), at::Tensor(), at::Tensor()};
    }
};

inline bool is_differentiated(const at::Tensor& student) {
    return student.defined() && at::GradMode::is_enabled() && student.requires_grad();
}

}  // namespace detail

/// What a loss gives without autograd: `auto [result, gradient] = ...`.
struct torch_result {
    loss_result result{};
    at::Tensor gradient{};
};

/// The reduced loss, a tensor without dimensions, float64 where the logits are and float32 otherwise. It is differentiable
/// with respect to the student where the student requires a gradient: once, with a factor, in a sum with other losses, and
/// again with retain_graph. The gradient is kept from the forward pass, in the student's type; of float16 in float32, so
/// that a loss scale comes before the rounding to half. `result`, where given, receives the counts.
template <class Loss>
[[nodiscard]] at::Tensor torch_loss(const Loss& f, const at::Tensor& student, const at::Tensor& teacher,
                                    const torch_fields& fields = {}, loss_result* result = nullptr) {
    const bool differentiates = detail::is_differentiated(student);
    detail::torch_call call(student, teacher, fields);
    if (differentiates) call.add_gradient();
    loss_result found;
    detail::with_typed_batch<at::Half, at::BFloat16>(
        call.host, [&](const auto& in, const auto& gradient) { found = differentiates ? f(in, gradient) : f(in); });
    if (result != nullptr) *result = found;
    const at::Tensor loss = at::scalar_tensor(found.value, call.loss_options());
    return differentiates ? detail::torch_node::apply(student, &loss, &call.gradient) : loss;
}

/// The rows' own losses, before weights and reduction, in the shape of the student without its vocabulary: 0 where a row is
/// masked. Differentiable as torch_loss is; every row's gradient has the factor that comes back for the row.
template <class Loss>
[[nodiscard]] at::Tensor torch_per_token(const Loss& f, const at::Tensor& student, const at::Tensor& teacher,
                                         torch_fields fields = {}) {
    const bool differentiates = detail::is_differentiated(student);
    const auto rows_of = f.reduced_by(detail::each_row{});
    if (fields.weights.defined() && !(at::GradMode::is_enabled() && fields.weights.requires_grad())) {
        // A weight masks its row and does no more; one that is negative or not finite stays, to be refused.
        const at::Tensor& w = fields.weights;
        fields.weights = at::where(w.gt(0).logical_and(w.lt(std::numeric_limits<double>::infinity())), at::ones_like(w), w);
    }
    detail::torch_call call(student, teacher, fields);
    if (differentiates) call.add_gradient();
    at::Tensor losses;
    detail::with_typed_batch<at::Half, at::BFloat16>(call.host, [&](const auto& in, const auto& gradient) {
        losses =
            at::empty(call.student.sizes().slice(0, static_cast<std::size_t>(call.student.dim()) - 1), call.loss_options());
        const auto run = [&]<class Real>(Real* data) {
            const std::span<Real> rows(data, static_cast<std::size_t>(losses.numel()));
            static_cast<void>(differentiates ? rows_of.per_token(in, rows, gradient) : rows_of.per_token(in, rows));
        };
        if (losses.scalar_type() == at::kDouble)
            run(losses.data_ptr<double>());
        else
            run(losses.data_ptr<float>());
    });
    return differentiates ? detail::torch_node::apply(student, &losses, &call.gradient) : losses;
}

/// The loss and its gradient with respect to the student, without autograd: the student may require a gradient or not, and
/// the result is a constant. The gradient is of the student's type and shape, of float16 in float32.
template <class Loss>
[[nodiscard]] torch_result torch_value_and_gradient(const Loss& f, const at::Tensor& student, const at::Tensor& teacher,
                                                    const torch_fields& fields = {}) {
    detail::torch_call call(student, teacher, fields);
    call.add_gradient();
    torch_result found;
    detail::with_typed_batch<at::Half, at::BFloat16>(
        call.host, [&](const auto& in, const auto& gradient) { found.result = f(in, gradient); });
    found.gradient = call.gradient;
    return found;
}

}  // namespace distill::inline DISTILL_ABI
