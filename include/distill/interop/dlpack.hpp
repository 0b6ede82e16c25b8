/// DLPack's tensors as views and per-row arrays: what PyTorch, JAX, TensorFlow, CuPy and NumPy exchange. No copy.
///
/// A tensor is borrowed: whoever holds the DLManagedTensor calls its deleter after the last call that reads the view.
#pragma once

#include <distill/core/error.hpp>
#include <distill/core/storage_format.hpp>
#include <distill/interop/detail/tensor_axes.hpp>

#include <dlpack/dlpack.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>
#include <string>
#include <type_traits>

namespace distill::inline DISTILL_ABI {

/// Who reads the tensor, which decides what memory it may be in.
enum class dlpack_reader {
    host,  ///< kDLCPU, kDLCUDAHost, kDLROCMHost, kDLCUDAManaged
    cuda,  ///< kDLCUDA, kDLCUDAHost, kDLCUDAManaged
};

namespace detail {

template <class Element>
constexpr DLDataType dlpack_type_of_format() {
    constexpr bool narrow = storage_format_of<Element> != storage_format::unknown;
    static_assert(std::is_same_v<Element, float> || std::is_same_v<Element, double> || narrow,
                  "distill: DLPack's name of this element type is unknown: logits are float, double or a 16-bit type whose "
                  "format is known; for another, specialise distill::storage_format_of");
    constexpr bool bfloat16 = storage_format_of<Element> == storage_format::bfloat16;
    return {static_cast<std::uint8_t>(bfloat16 ? kDLBfloat : kDLFloat), static_cast<std::uint8_t>(8 * sizeof(Element)), 1};
}

}  // namespace detail

/// What DLPack calls an element type: kDLFloat of 32 or 64 bits for float and double, kDLFloat or kDLBfloat of 16 bits for a
/// type whose format storage_format_of knows.
template <class Element>
inline constexpr DLDataType dlpack_type = detail::dlpack_type_of_format<Element>();

namespace detail {

constexpr bool same_type(DLDataType a, DLDataType b) { return a.code == b.code && a.bits == b.bits && a.lanes == b.lanes; }

/// `float32`, `bfloat16`, `int64`; `float32 x 4` for four lanes.
inline std::string dlpack_name(DLDataType type) {
    const char* const codes[] = {"int", "uint", "float", "handle", "bfloat", "complex", "bool"};
    const std::string code = type.code < std::size(codes) ? codes[type.code] : sentence({"code ", type.code, " of bits "});
    return sentence({code, type.bits}) + (type.lanes == 1 ? "" : sentence({" x ", type.lanes}));
}

/// Why the tensor cannot be read as elements of one of two types; empty where it can.
inline std::string dlpack_problem(const DLTensor& tensor, DLDataType expected, DLDataType alternative,
                                  dlpack_reader reader) {
    // As its bits: the exporter's header may know more devices than the enumeration of this one has values.
    int device = 0;
    static_assert(sizeof(device) == sizeof(tensor.device.device_type));
    std::memcpy(&device, &tensor.device.device_type, sizeof(device));
    const bool own = reader == dlpack_reader::host ? device == kDLCPU || device == kDLROCMHost : device == kDLCUDA;
    if (!own && device != kDLCUDAHost && device != kDLCUDAManaged)
        return sentence({"stands on a device of type ", device, ", expected ",
                         reader == dlpack_reader::host
                             ? "kDLCPU (1), kDLCUDAHost (3), kDLROCMHost (11) or kDLCUDAManaged (13)"
                             : "kDLCUDA (2), kDLCUDAHost (3) or kDLCUDAManaged (13)"});
    if (!same_type(tensor.dtype, expected) && !same_type(tensor.dtype, alternative))
        return "has elements of type " + dlpack_name(tensor.dtype) + ", expected " + dlpack_name(expected) +
               (same_type(expected, alternative) ? "" : " or " + dlpack_name(alternative));
    if (tensor.shape == nullptr && tensor.ndim > 0) return sentence({"has ", tensor.ndim, " dimensions and no shape"});
    if (tensor.byte_offset > (std::numeric_limits<std::uintptr_t>::max)() - reinterpret_cast<std::uintptr_t>(tensor.data))
        return sentence({"has a byte offset of ", tensor.byte_offset, ", which leads beyond all memory"});
    return {};
}

inline tensor_axes axes_of_dlpack(const DLTensor& tensor) {
    const auto length = [&](std::size_t axis) { return tensor.shape[axis]; };
    if (tensor.strides == nullptr) return compact_axes(tensor.ndim, length);
    return axes_of(tensor.ndim, length, [&](std::size_t axis) { return tensor.strides[axis]; });
}

template <class Element>
Element* data_of_dlpack(const DLTensor& tensor) {
    if (tensor.data == nullptr) return nullptr;
    return static_cast<Element*>(static_cast<void*>(static_cast<std::byte*>(tensor.data) + tensor.byte_offset));
}

template <class Array, class Narrow, class Wide>
Array values_of_dlpack(const DLTensor& tensor, DLDataType narrow, DLDataType wide, dlpack_reader reader) {
    if (const std::string problem = dlpack_problem(tensor, narrow, wide, reader); !problem.empty()) {
        report_error({"a DLPack tensor of per-row numbers ", problem});
        return {};
    }
    const auto values = [&]<class Element>(const Element* data) {
        return numbers_of<Array>("a DLPack tensor", data, axes_of_dlpack(tensor));
    };
    return same_type(tensor.dtype, narrow) ? values(data_of_dlpack<const Narrow>(tensor))
                                           : values(data_of_dlpack<const Wide>(tensor));
}

}  // namespace detail

/// `view_of<const float>(tensor)`: the view of a tensor [rows, vocabulary] or [batch, time, vocabulary] whose elements are
/// of the type that is spelled; without const its logits are writable, which DLPack itself does not say. A DLManagedTensor
/// is passed as `managed->dl_tensor`. Errors: another element type or number of dimensions, memory that the reader does not
/// reach, a vocabulary that is not contiguous, leading axes that do not run as one.
template <class Element = void>
[[nodiscard]] auto view_of(const DLTensor& tensor, dlpack_reader reader = dlpack_reader::host) {
    static_assert(
        !std::is_void_v<Element>,
        "distill: a DLPack tensor knows its element type at run time only; spell it: view_of<const float>(tensor)");
    constexpr DLDataType type = dlpack_type<std::remove_const_t<Element>>;
    if (const std::string problem = detail::dlpack_problem(tensor, type, type, reader); !problem.empty()) {
        report_error({"a DLPack tensor of logits ", problem});
        return logits_view<Element>{};
    }
    return detail::logits_of<Element>("a DLPack tensor", detail::data_of_dlpack<Element>(tensor),
                                      detail::axes_of_dlpack(tensor));
}

/// Weights, advantages or log-probabilities from a contiguous tensor [rows] or [batch, time] of float or double.
[[nodiscard]] inline row_values row_values_of(const DLTensor& tensor, dlpack_reader reader = dlpack_reader::host) {
    return detail::values_of_dlpack<row_values, float, double>(tensor, {kDLFloat, 32, 1}, {kDLFloat, 64, 1}, reader);
}

/// Token ids, labels or offsets from a contiguous tensor [rows] or [batch, time] of int32 or int64.
[[nodiscard]] inline row_indices row_indices_of(const DLTensor& tensor, dlpack_reader reader = dlpack_reader::host) {
    return detail::values_of_dlpack<row_indices, std::int32_t, std::int64_t>(tensor, {kDLInt, 32, 1}, {kDLInt, 64, 1},
                                                                             reader);
}

}  // namespace distill::inline DISTILL_ABI
