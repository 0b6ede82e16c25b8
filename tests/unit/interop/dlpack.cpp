#include <distill/interop/dlpack.hpp>

#include <Eigen/Core>

#include <unit/interop/check_view.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

using distill::dlpack_reader, distill::dlpack_type, distill::row_indices, distill::row_indices_of, distill::row_values,
    distill::row_values_of, distill::view_of;
using distill_test::check_values, distill_test::check_view, distill_test::refusal;

namespace {

// A 16-bit type of which the standard library knows nothing.
struct bare_half {
    std::uint16_t bits;
};

// A tensor, and the arrays that its shape and strides point at.
struct tensor {
    std::vector<std::int64_t> shape, strides{};
    DLDataType type{kDLFloat, 32, 1};
    void* data = nullptr;
    DLDeviceType device = kDLCPU;
    std::uint64_t byte_offset = 0;

    operator DLTensor() {
        return {.data = data,
                .device = {device, 0},
                .ndim = static_cast<int>(shape.size()),
                .dtype = type,
                .shape = shape.data(),
                .strides = strides.empty() ? nullptr : strides.data(),
                .byte_offset = byte_offset};
    }
};

template <class Element>
std::string refused(tensor t, dlpack_reader reader = dlpack_reader::host) {
    return refusal([&] { return view_of<Element>(t, reader); });
}

const std::string host_memory = ", expected kDLCPU (1), kDLCUDAHost (3), kDLROCMHost (11) or kDLCUDAManaged (13)";
const std::string cuda_memory = ", expected kDLCUDA (2), kDLCUDAHost (3) or kDLCUDAManaged (13)";

}  // namespace

template <>
inline constexpr DLDataType distill::dlpack_type<bare_half> = {kDLFloat, 16, 1};

TEST_CASE("a matrix is viewed where it stands, writable where its element is spelled so") {
    std::vector<float> memory(60);
    tensor compact{.shape = {5, 12}, .data = memory.data()};
    check_view(view_of<float>(compact), memory.data(), 5, 12, 12);
    check_view(view_of<const float>(compact), std::as_const(memory).data(), 5, 12, 12);
    tensor strided{.shape = {4, 10}, .strides = {12, 1}, .data = memory.data(), .byte_offset = 8};
    check_view(view_of<const float>(strided), std::as_const(memory).data() + 2, 4, 10, 12);
    view_of<float>(strided).row(1)[0] = 7.0f;
    CHECK(memory[14] == 7.0f);
    DLManagedTensor managed{compact, nullptr, nullptr};
    check_view(view_of<const float>(managed.dl_tensor), std::as_const(memory).data(), 5, 12, 12);
}

TEST_CASE("strides of axes of length 1 mean nothing") {
    std::vector<float> memory(60);
    tensor row{.shape = {1, 12}, .strides = {-7, 1}, .data = memory.data()};
    tensor column{.shape = {5, 1}, .strides = {12, 0}, .data = memory.data()};
    check_view(view_of<float>(row), memory.data(), 1, 12, 12);
    check_view(view_of<float>(column), memory.data(), 5, 1, 12);
}

TEST_CASE("a batch of sequences is its rows where batch and time run as one axis") {
    std::vector<float> memory(120);
    tensor compact{.shape = {2, 5, 12}, .data = memory.data()};
    tensor padded{.shape = {2, 5, 10}, .strides = {60, 12, 1}, .data = memory.data()};
    check_view(view_of<float>(compact), memory.data(), 10, 12, 12);
    check_view(view_of<float>(padded), memory.data(), 10, 10, 12);
    CHECK(refused<float>({.shape = {2, 4, 12}, .strides = {60, 12, 1}, .data = memory.data()}) ==
          "distill: a DLPack tensor of logits has a leading stride of 60, expected 48, with which the leading dimensions "
          "are one axis of rows");
}

TEST_CASE("the element type is the one that is spelled, the two of 16 bits told apart") {
    std::vector<double> memory(12);
    const auto accepts = [&]<class Element>(DLDataType type) {
        tensor t{.shape = {2, 3}, .type = type, .data = memory.data()};
        return refused<Element>(t) == "accepted" && refused<const Element>(t) == "accepted";
    };
    const DLDataType types[] = {{kDLFloat, 64, 1}, {kDLFloat, 32, 1}, {kDLFloat, 16, 1},   {kDLBfloat, 16, 1},
                                {kDLInt, 32, 1},   {kDLUInt, 16, 1},  {kDLComplex, 64, 1}, {kDLFloat, 32, 2},
                                {kDLFloat, 8, 1},  {42, 16, 1}};
    for (std::size_t i = 0; i < std::size(types); ++i) {
        CAPTURE(i);
        CHECK(accepts.operator()<double>(types[i]) == (i == 0));
        CHECK(accepts.operator()<float>(types[i]) == (i == 1));
        CHECK(accepts.operator()<Eigen::half>(types[i]) == (i == 2));
        CHECK(accepts.operator()<bare_half>(types[i]) == (i == 2));
        CHECK(accepts.operator()<Eigen::bfloat16>(types[i]) == (i == 3));
    }
    const auto named = [&](DLDataType type) {
        return refused<Eigen::bfloat16>({.shape = {2, 3}, .type = type, .data = memory.data()});
    };
    CHECK(named({kDLFloat, 16, 1}) == "distill: a DLPack tensor of logits has elements of type float16, expected bfloat16");
    CHECK(named({kDLBfloat, 16, 4}) ==
          "distill: a DLPack tensor of logits has elements of type bfloat16 x 4, expected bfloat16");
    CHECK(named({42, 8, 1}) ==
          "distill: a DLPack tensor of logits has elements of type code 42 of bits 8, expected bfloat16");
}

TEST_CASE("memory that the reader does not reach is refused") {
    std::vector<float> memory(6);
    for (const DLDeviceType device : {kDLCPU, kDLCUDA, kDLCUDAHost, kDLOpenCL, kDLROCM, kDLROCMHost, kDLCUDAManaged}) {
        const tensor t{.shape = {2, 3}, .data = memory.data(), .device = device};
        const std::string of = "distill: a DLPack tensor of logits stands on a device of type " + std::to_string(device);
        const bool shared = device == kDLCUDAHost || device == kDLCUDAManaged;
        const bool host = shared || device == kDLCPU || device == kDLROCMHost;
        CHECK(refused<float>(t) == (host ? "accepted" : of + host_memory));
        CHECK(refused<float>(t, dlpack_reader::cuda) == (shared || device == kDLCUDA ? "accepted" : of + cuda_memory));
    }
    // A device of a later DLPack, of which this header's enumeration may not even have the number.
    DLTensor later = tensor{.shape = {2, 3}, .data = memory.data()};
    const std::int32_t number = 17;
    std::memcpy(&later.device.device_type, &number, sizeof(number));
    CHECK(refusal([&] { return view_of<float>(later); }) ==
          "distill: a DLPack tensor of logits stands on a device of type 17" + host_memory);

    tensor tokens{.shape = {3}, .type = {kDLInt, 32, 1}, .data = memory.data(), .device = kDLCUDA};
    CHECK(refusal([&] { return row_indices_of(tokens); }) ==
          "distill: a DLPack tensor of per-row numbers stands on a device of type 2" + host_memory);
    CHECK(row_indices_of(tokens, dlpack_reader::cuda).address() == memory.data());
}

TEST_CASE("shapes, strides and addresses that hold no matrix are refused") {
    std::vector<float> memory(60);
    const auto refused_shape = [&](std::vector<std::int64_t> shape, std::vector<std::int64_t> strides = {}) {
        return refused<const float>({.shape = std::move(shape), .strides = std::move(strides), .data = memory.data()});
    };
    const std::string of = "distill: a DLPack tensor of logits ";
    const std::string rank = " dimensions, expected 2 to 8, the last one the vocabulary";
    CHECK(refused_shape({}) == of + "has 0" + rank);
    CHECK(refused_shape({60}) == of + "has 1" + rank);
    CHECK(refused_shape({1, 1, 1, 1, 1, 1, 1, 5, 12}) == of + "has 9" + rank);
    CHECK(refused_shape({5, 6}, {12, 2}) == of + "has an inner stride of 2, expected 1");
    CHECK(refused_shape({5, 6}, {0, 1}) == of + "has a row stride of 0, expected at least 6");
    CHECK(refused_shape({5, 6}, {-12, 1}) == of + "has a row stride of -12, expected at least 6");
    CHECK(refused_shape({-5, 6}) == of + "has an axis of length -5");
    constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();
    for (const std::vector<std::int64_t>& shape :
         {std::vector<std::int64_t>{largest, largest}, {largest, 1}, {2, largest, 2}})
        CHECK(refused_shape(shape) == of + "has more elements than memory can hold");
    CHECK(refused_shape({3, 4}, {largest / 2, 1}) == of + "has more elements than memory can hold");

    CHECK(refused<float>({.shape = {5, 6}}) == of + "has 30 elements and a null pointer");
    CHECK(refused<float>({.shape = {5, 6}, .byte_offset = 16}) == of + "has 30 elements and a null pointer");
    CHECK(refused<float>({.shape = {0, 6}}) == "accepted");
    CHECK(refused<float>({.shape = {5, 6}, .data = memory.data(), .byte_offset = 2}) ==
          of + "is not aligned to its element type");
    constexpr std::uintptr_t last = std::numeric_limits<std::uintptr_t>::max();
    CHECK(refused<float>({.shape = {5, 6}, .data = memory.data(), .byte_offset = last - 3}) ==
          of + "has a byte offset of " + std::to_string(last - 3) + ", which leads beyond all memory");
    void* const near_the_end = reinterpret_cast<void*>(last - 15);
    CHECK(refused<float>({.shape = {1, 3}, .data = near_the_end}) == "accepted");
    CHECK(refused<float>({.shape = {1, 4}, .data = near_the_end}) == of + "has more elements than memory can hold");
    DLTensor shapeless = tensor{.shape = {5, 6}, .data = memory.data()};
    shapeless.shape = nullptr;
    CHECK(refusal([&] { return view_of<float>(shapeless); }) == of + "has 2 dimensions and no shape");
    shapeless.ndim = -1;
    CHECK(refusal([&] { return view_of<float>(shapeless); }) == of + "has -1" + rank);
}

TEST_CASE("per-row numbers are borrowed in the width that the tensor has, of rows or of batch and time") {
    std::vector<double> memory(12);
    const auto of = [&](DLDataType type, std::vector<std::int64_t> shape, std::vector<std::int64_t> strides = {}) {
        return tensor{.shape = std::move(shape), .strides = std::move(strides), .type = type, .data = memory.data()};
    };
    for (const std::uint8_t bits : {std::uint8_t{32}, std::uint8_t{64}}) {
        tensor weights = of({kDLFloat, bits, 1}, {6}), tokens = of({kDLInt, bits, 1}, {2, 3});
        check_values<row_values>(row_values_of(weights), memory.data(), 6);
        check_values<row_indices>(row_indices_of(tokens), memory.data(), 6);
        CHECK(row_values_of(weights).bytes() == std::size_t{6} * bits / 8);
        CHECK(row_indices_of(tokens).bytes() == std::size_t{6} * bits / 8);
    }
    const auto refused_values = [&](tensor t) { return refusal([&] { return row_values_of(t); }); };
    const auto refused_indices = [&](tensor t) { return refusal([&] { return row_indices_of(t); }); };
    const std::string name = "distill: a DLPack tensor of per-row numbers ";
    CHECK(refused_values(of({kDLInt, 32, 1}, {6})) == name + "has elements of type int32, expected float32 or float64");
    CHECK(refused_indices(of({kDLFloat, 32, 1}, {6})) == name + "has elements of type float32, expected int32 or int64");
    CHECK(refused_indices(of({kDLUInt, 64, 1}, {6})) == name + "has elements of type uint64, expected int32 or int64");
    CHECK(refused_values(of({kDLFloat, 32, 1}, {3}, {2})) == name + "has a stride of 2, expected 1");
    CHECK(refused_values(of({kDLFloat, 32, 1}, {3}, {0})) == name + "has a row stride of 0, expected at least 1");
    CHECK(refused_values(of({kDLFloat, 32, 1}, {1, 1, 1, 1, 1, 1, 1, 2, 3})) == name + "has 9 dimensions, expected 1 to 8");
}
