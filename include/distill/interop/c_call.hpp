/// A loss behind a C function, of tensors that are described at run time: for a library that is compiled for another
/// language and loaded there.
///
///     extern "C" int my_loss(distill::c_call* call) {
///         const distill::loss f{distill::forward_kl{}, distill::eigen{}, distill::token_mean{}};
///         return distill::run_c_call<Eigen::half, Eigen::bfloat16>(f, *call);
///     }
///
/// No exception leaves the function, nothing is owned, and no buffer is copied.
#pragma once

#include <distill/core/error.hpp>
#include <distill/core/result.hpp>
#include <distill/interop/detail/host_call.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <string_view>

namespace distill::inline DISTILL_ABI {

/// A tensor, in the layout of DLPack's DLTensor: a pointer to one of either is a pointer to the other. Strides count
/// elements; null: compact. Device types are DLPack's, and so are the codes of types: 0 int, 2 float, 4 bfloat.
struct c_tensor {
    void* data;
    std::int32_t device_type;
    std::int32_t device_id;
    std::int32_t ndim;
    std::uint8_t code;
    std::uint8_t bits;
    std::uint16_t lanes;
    const std::int64_t* shape;
    const std::int64_t* strides;
    std::uint64_t byte_offset;
};

/// A host's loop: calls run(first, last, context) for parts of [begin, end), in any threads, and returns when all are done;
/// 0, or another number where it failed.
using c_parallel_for = std::int32_t (*)(std::int64_t begin, std::int64_t end, std::int64_t grain,
                                        void (*run)(std::int64_t first, std::int64_t last, void* context), void* context);

/// A call: its tensors by name, and what comes back. The names are those of a batch's fields, `gradient` and `row_losses`;
/// both are written, where they are given.
struct c_call {
    std::int64_t count;  ///< of names and tensors
    const char* const* names;
    const c_tensor* const* tensors;
    std::int64_t threads;         ///< for who makes the loss
    c_parallel_for parallel_for;  ///< the host's loop, for c_threads; null where it has none
    double value;
    double denominator;
    std::int64_t active_rows;
    std::int64_t nonfinite_rows;
    std::int64_t clipped_rows;
    std::int64_t guarded_rows;
    char message[1024];  ///< why the call was refused; ends with 0
};

/// The host's loop as an executor: `eigen{c_threads{call.parallel_for}}`.
struct c_threads {
    c_parallel_for loop = nullptr;

    template <class Body>
    void operator()(std::ptrdiff_t count, const Body& body) const {
        const auto run = [](std::int64_t first, std::int64_t last, void* of) {
            for (; first < last; ++first) (*static_cast<const Body*>(of))(static_cast<std::ptrdiff_t>(first));
        };
        if (loop(0, count, 1, run, const_cast<void*>(static_cast<const void*>(&body))) != 0)
            report_error("the host's loop failed");
    }
};

namespace detail {

inline element_type element_type_of(const c_tensor& tensor) {
    constexpr int integer = 0, floating = 2, bfloat = 4;
    if (tensor.lanes != 1) return element_type::other;
    if (tensor.code == floating && tensor.bits == 64) return element_type::float64;
    if (tensor.code == floating && tensor.bits == 32) return element_type::float32;
    if (tensor.code == floating && tensor.bits == 16) return element_type::float16;
    if (tensor.code == bfloat && tensor.bits == 16) return element_type::bfloat16;
    if (tensor.code == integer && tensor.bits == 64) return element_type::int64;
    if (tensor.code == integer && tensor.bits == 32) return element_type::int32;
    return element_type::other;
}

inline host_tensor host_tensor_of(const c_tensor& tensor) {
    constexpr int cpu = 1, pinned_cuda = 3, pinned_rocm = 11, managed_cuda = 13;
    host_tensor found{.type = element_type_of(tensor), .given = true};
    if (found.type == element_type::other)
        found.type_name = sentence({"code ", static_cast<int>(tensor.code), " of bits ", static_cast<int>(tensor.bits)});
    if (const auto device = tensor.device_type;
        device != cpu && device != pinned_cuda && device != pinned_rocm && device != managed_cuda)
        found.elsewhere = sentence({"a device of type ", device});
    const auto length = [&](std::size_t axis) { return tensor.shape[axis]; };
    if (tensor.ndim <= 0 || tensor.shape == nullptr)
        found.axes.rank = tensor.ndim < 0 ? tensor.ndim : 0;
    else if (tensor.strides == nullptr)
        found.axes = compact_axes(tensor.ndim, length);
    else
        found.axes = axes_of(tensor.ndim, length, [&](std::size_t axis) { return tensor.strides[axis]; });
    if (tensor.data != nullptr) found.data = static_cast<std::byte*>(tensor.data) + tensor.byte_offset;
    return found;
}

inline host_call host_call_of(const c_call& call) {
    host_call found;
    for (std::int64_t i = 0; i < call.count; ++i) {
        const std::string_view name = call.names[i];
        host_tensor* to = name == "student"      ? &found.student
                          : name == "teacher"    ? &found.teacher
                          : name == "gradient"   ? &found.gradient
                          : name == "row_losses" ? &found.row_losses
                                                 : nullptr;
        for_each_field(
            [&](const batch_field& field, host_tensor& tensor) {
                if (field.name.substr(std::string_view("batch.").size()) == name) to = &tensor;
            },
            found.fields);
        if (to == nullptr)
            report_error({"a batch has no field ", name});
        else if (call.tensors[i] != nullptr)
            *to = host_tensor_of(*call.tensors[i]);
    }
    return found;
}

inline int refuse_c_call(c_call& call, const char* message) noexcept {
    std::size_t length = 0;
    for (; message[length] != 0 && length + 1 < sizeof(call.message); ++length) call.message[length] = message[length];
    call.message[length] = 0;
    return 1;
}

/// run(batch, gradient) on the call's tensors; its result goes into the call.
template <class Half, class BFloat16, class Pairs, class Run>
int guarded_c_call(c_call& call, const Run& run) noexcept {
    call.message[0] = 0;
#if DISTILL_HAS_EXCEPTIONS
    try {
#endif
        const host_call host = host_call_of(call);
        loss_result result;
        with_typed_batch<Half, BFloat16, Pairs>(
            host, [&](const auto& in, const auto& gradient) { result = run(in, gradient, host); });
        call.value = result.value;
        call.denominator = result.denominator;
        call.active_rows = result.active_rows;
        call.nonfinite_rows = result.nonfinite_rows;
        call.clipped_rows = result.clipped_rows;
        call.guarded_rows = result.guarded_rows;
        return 0;
#if DISTILL_HAS_EXCEPTIONS
    } catch (const std::exception& error) {
        return refuse_c_call(call, error.what());
    } catch (...) {
        return refuse_c_call(call, "distill: a term threw what is no std::exception");
    }
#endif
}

}  // namespace detail

/// The reduced loss of the call's tensors, and its gradient where it is given; of `row_losses` nothing is read. Returns 0; 1
/// where the call is refused, and the message says why. Half and BFloat16 are any 16-bit types of these formats. Pairs:
/// detail::one_pair<student, teacher>, to compile a loss for the tensors at hand alone.
template <class Half, class BFloat16, class Pairs = detail::every_pair, class Loss>
int run_c_call(const Loss& f, c_call& call) noexcept {
    return detail::guarded_c_call<Half, BFloat16, Pairs>(
        call, [&](const auto& in, const auto& gradient, const detail::host_call&) {
            return gradient.absent() ? f(in) : f(in, gradient);
        });
}

/// The rows' own losses, before weights and reduction, into `row_losses`, and the gradient of each where it is given. A
/// weight of 0 masks its row; others have to be 1.
template <class Half, class BFloat16, class Pairs = detail::every_pair, class Loss>
int run_c_call_per_row(const Loss& f, c_call& call) noexcept {
    const auto rows_of = f.reduced_by(detail::each_row{});
    return detail::guarded_c_call<Half, BFloat16, Pairs>(
        call, [&](const auto& in, const auto& gradient, const detail::host_call& host) {
            const auto run = [&]<class Real>(Real*) {
                const std::span<Real> losses(static_cast<Real*>(const_cast<void*>(host.row_losses.data)),
                                             static_cast<std::size_t>(in.student.rows));
                return gradient.absent() ? rows_of.per_token(in, losses) : rows_of.per_token(in, losses, gradient);
            };
            if (!host.row_losses.given) report_error("row_losses is missing");
            return host.row_losses.type == detail::element_type::float64 ? run(static_cast<double*>(nullptr))
                                                                         : run(static_cast<float*>(nullptr));
        });
}

}  // namespace distill::inline DISTILL_ABI
