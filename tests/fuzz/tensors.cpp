// Tensors of any fields at the boundary: DLPack's, an mdspan's, a flat range with a shape. A tensor is refused exactly where
// its fields say so by an arithmetic of their own: whole numbers without bounds, one row after another. An accepted one is a
// view of the same entries at the same addresses. Nothing is read through a pointer, so that it may be any number.
#include <distill/interop/dlpack.hpp>
#include <distill/interop/mdspan.hpp>
#include <distill/interop/span.hpp>

#include <fuzz/fuzz.hpp>

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace {

using whole = __int128;
constexpr whole largest_size = std::numeric_limits<std::ptrdiff_t>::max();
constexpr whole largest_address = std::numeric_limits<std::uintptr_t>::max();

// ------------------------------------------------------------------------------------------------ what the fields describe

struct axis {
    whole length = 1, stride = 1;
};

// [outer, inner, columns]; an axis that the tensor does not have is of length 1.
struct tensor {
    axis outer{}, inner{}, columns{};
    whole address = 0, element_bytes = 1, alignment = 1;
    whole held = -1;  // elements from the address on, where that is known
};

struct matrix {
    whole rows, columns, stride;
};

// The tensor's entries as rows of one stride, if they stand like that in memory that there can be.
std::optional<matrix> matrix_of(const tensor& t) {
    if (t.address > largest_address) return {};
    const whole most = largest_size / t.element_bytes;
    whole entries = 1;
    for (const axis& a : {t.outer, t.inner, t.columns}) {
        if (a.length < 0) return {};
        entries *= std::max<whole>(a.length, 1);
        if (entries > most) return {};
    }
    const whole rows = t.outer.length * t.inner.length, columns = t.columns.length;
    if (rows == 0 || columns == 0) return matrix{rows, columns, columns};

    const auto position = [&](whole row, whole column) {
        return row / t.inner.length * t.outer.stride + row % t.inner.length * t.inner.stride + column * t.columns.stride;
    };
    const whole stride = rows > 1 ? position(1, 0) : columns;
    if (stride < columns || rows * stride > most) return {};
    for (const whole row : {whole{0}, whole{1}, t.inner.length - 1, t.inner.length, rows / 2, rows - 2, rows - 1})
        for (const whole column : {whole{0}, whole{1}, columns / 2, columns - 1})
            if (row >= 0 && row < rows && column < columns && position(row, column) != row * stride + column) return {};

    const whole needed = (rows - 1) * stride + columns;
    if (t.held >= 0 && t.held < needed) return {};
    if (t.address == 0 || t.address % t.alignment != 0) return {};
    if (t.address + needed * t.element_bytes > largest_address) return {};
    return matrix{rows, columns, stride};
}

// The same for numbers of which nothing stands between two.
std::optional<matrix> numbers_of(const tensor& t) {
    const auto found = matrix_of(t);
    return found && found->rows > 1 && found->stride != 1 ? std::nullopt : found;
}

whole address_of(const void* data) { return static_cast<whole>(reinterpret_cast<std::uintptr_t>(data)); }

template <class Element>
bool is(const distill::logits_view<Element>& view, const tensor& t, const matrix& m) {
    return address_of(view.data) == t.address && view.rows == m.rows && view.vocabulary == m.columns &&
           view.row_stride == m.stride;
}

template <class Narrow, class Wide>
bool is(const distill::row_array<Narrow, Wide>& array, const tensor& t, const matrix& m) {
    return address_of(array.address()) == t.address && array.size() == m.rows &&
           (t.address == 0 || static_cast<whole>(array.element_bytes()) == t.element_bytes);
}

// `make` returns what the tensor becomes, or refuses it in a sentence that begins with its name.
template <class Make>
void check(const tensor& t, const std::optional<matrix>& expected, std::string_view name, const Make& make) {
    try {
        const auto found = make();
        fuzz::require(expected.has_value(), "a tensor that is no matrix in memory is refused");
        fuzz::require(is(found, t, *expected), "a tensor is viewed in its shape where it stands");
    } catch (const distill::invalid_input& error) {
        fuzz::require(!expected, "a tensor of legal fields is accepted");
        fuzz::require(std::string_view(error.what()).starts_with(name), "an error names the tensor");
    }
}

// ---------------------------------------------------------------------------------------------------------------- the fields

template <class Integer>
Integer integer(FuzzedDataProvider& bytes, int usual) {
    constexpr Integer least = std::numeric_limits<Integer>::min(), most = std::numeric_limits<Integer>::max();
    constexpr Integer edges[] = {static_cast<Integer>(-1),
                                 least,
                                 most,
                                 static_cast<Integer>(-2),
                                 most / 2,
                                 most / 4,
                                 most / 8 + 1,
                                 static_cast<Integer>(most / 8 * 2 + 2)};
    const int kind = bytes.ConsumeIntegral<std::uint8_t>();
    if (kind < 224) return static_cast<Integer>((kind + usual) % 224);
    return kind < 248 ? fuzz::pick(bytes, edges) : bytes.ConsumeIntegral<Integer>();
}

// Lengths and strides of up to three axes, outermost first: mostly of a tensor without gaps but between its rows.
template <class Length, class Stride>
struct axes {
    std::array<Length, 3> length{};
    std::array<Stride, 3> stride{};
};

template <class Length, class Stride>
axes<Length, Stride> read_axes(FuzzedDataProvider& bytes, std::size_t rank, bool rows_have_gaps) {
    axes<Length, Stride> a;
    for (std::size_t i = 0; i < rank; ++i) a.length[i] = integer<Length>(bytes, 2);
    const int padding = rows_have_gaps ? bytes.ConsumeIntegral<std::uint8_t>() % 8 : 0;
    std::uint64_t next = 1;
    for (std::size_t i = rank; i-- > 0;) {
        a.stride[i] = static_cast<Stride>(next);
        next *= static_cast<std::uint64_t>(a.length[i]);
        if (i + 1 == rank) next += static_cast<std::uint64_t>(padding);
    }
    if (rank > 0 && fuzz::one_in(bytes, 4))
        a.stride[bytes.ConsumeIntegral<std::uint8_t>() % rank] = integer<Stride>(bytes, 0);
    return a;
}

// As the last axes of a tensor of three, in front of `columns` of length 1 where it is of per-row numbers.
template <class Length, class Stride>
tensor tensor_of(const axes<Length, Stride>& a, std::size_t rank, bool per_row) {
    tensor t;
    axis* const all[] = {&t.outer, &t.inner, &t.columns};
    for (std::size_t i = 0; i < rank; ++i)
        *all[i + (per_row ? 2 : 3) - rank] = {static_cast<whole>(a.length[i]), static_cast<whole>(a.stride[i])};
    return t;
}

// Lengths that are refused may leave any stride.
void remove_gaps(tensor& t) {
    t.columns.stride = 1;
    t.inner.stride = t.columns.length;
    t.outer.stride = std::max(t.columns.length, t.inner.length) <= largest_size ? t.columns.length * t.inner.length : 0;
}

template <class Element>
void set_element(tensor& t) {
    t.element_bytes = sizeof(Element);
    t.alignment = alignof(Element);
}

std::uintptr_t read_address(FuzzedDataProvider& bytes) {
    const int kind = bytes.ConsumeIntegral<std::uint8_t>();
    const std::uintptr_t small = bytes.ConsumeIntegral<std::uint8_t>();
    if (kind < 160) return 4096 + small * 8;
    if (kind < 184) return 4096 + small;
    if (kind < 208) return 0;
    if (kind < 232) return std::numeric_limits<std::uintptr_t>::max() - small;
    return bytes.ConsumeIntegral<std::uintptr_t>();
}

// -------------------------------------------------------------------------------------------------------------------- DLPack

struct dlpack_tensor {
    DLTensor fields{};
    std::unique_ptr<std::int64_t[]> shape{}, strides{};
    tensor described{};
    bool reached = false;  // by the reader
};

// The fields, `types` being those that are mostly there. Arrays end with the last axis, and have none where there are too many.
template <std::size_t Count>
dlpack_tensor read_dlpack(FuzzedDataProvider& bytes, const DLDataType (&types)[Count], bool per_row,
                          distill::dlpack_reader reader) {
    // More axes than two of rows are tested in tests/unit/interop/detail/tensor_axes.cpp; more than eight are refused unread.
    constexpr int ranks[] = {0, 9, 10, -1, std::numeric_limits<int>::min(), std::numeric_limits<int>::max()};
    dlpack_tensor t;
    DLTensor& f = t.fields;
    const bool batched = bytes.ConsumeBool();
    f.ndim = fuzz::one_in(bytes, 8) ? fuzz::pick(bytes, ranks) : (per_row ? 1 : 2) + (batched ? 1 : 0);
    if (fuzz::one_in(bytes, 16)) f.ndim = bytes.ConsumeIntegralInRange(1, per_row ? 2 : 3);
    const std::size_t rank = f.ndim < 0 || f.ndim > 3 ? 0 : static_cast<std::size_t>(f.ndim);
    const bool with_strides = bytes.ConsumeBool();
    auto a = read_axes<std::int64_t, std::int64_t>(bytes, rank, with_strides && !per_row);
    t.shape.reset(new std::int64_t[rank]);
    std::copy_n(a.length.begin(), rank, t.shape.get());
    if (with_strides) {
        t.strides.reset(new std::int64_t[rank]);
        std::copy_n(a.stride.begin(), rank, t.strides.get());
    }
    f.shape = fuzz::one_in(bytes, 32) ? nullptr : t.shape.get();
    f.strides = t.strides.get();
    const bool is_legal_rank = per_row ? rank == 1 || rank == 2 : rank == 2 || rank == 3;
    if (is_legal_rank) t.described = tensor_of(a, rank, per_row);
    if (!with_strides) remove_gaps(t.described);

    f.dtype = fuzz::pick(bytes, types);
    if (fuzz::one_in(bytes, 8)) f.dtype = {bytes.ConsumeIntegral<std::uint8_t>(), bytes.ConsumeIntegral<std::uint8_t>(), 1};
    if (fuzz::one_in(bytes, 16)) f.dtype.lanes = bytes.ConsumeIntegral<std::uint16_t>();
    t.described.element_bytes = f.dtype.bits / 8;
    t.described.alignment = f.dtype.bits / 8;

    // Of any number, which an older header's enumeration may not have.
    std::int32_t device = reader == distill::dlpack_reader::host ? kDLCPU : kDLCUDA;
    if (fuzz::one_in(bytes, 4)) device = bytes.ConsumeIntegral<std::uint8_t>() % 24;
    if (fuzz::one_in(bytes, 16)) device = bytes.ConsumeIntegral<std::int32_t>();
    static_assert(sizeof(device) == sizeof(f.device.device_type));
    std::memcpy(&f.device.device_type, &device, sizeof(device));
    t.reached = reader == distill::dlpack_reader::host ? device == 1 || device == 3 || device == 11 || device == 13
                                                       : device == 2 || device == 3 || device == 13;
    t.reached = t.reached && is_legal_rank && f.shape != nullptr;

    const std::uintptr_t address = read_address(bytes);
    f.data = reinterpret_cast<void*>(address);
    if (!fuzz::one_in(bytes, 2)) f.byte_offset = bytes.ConsumeIntegral<std::uint8_t>() / 8 * 4;
    if (fuzz::one_in(bytes, 8)) f.byte_offset = integer<std::uint64_t>(bytes, 0);
    if (fuzz::one_in(bytes, 8)) f.byte_offset = std::uint64_t{0} - address - bytes.ConsumeIntegral<std::uint8_t>();
    t.described.address = address == 0 ? 0 : static_cast<whole>(address) + static_cast<whole>(f.byte_offset);
    return t;
}

bool has_type(const DLTensor& t, DLDataType type) {
    return t.dtype.code == type.code && t.dtype.bits == type.bits && t.dtype.lanes == type.lanes;
}

distill::dlpack_reader read_reader(FuzzedDataProvider& bytes) {
    return fuzz::one_in(bytes, 4) ? distill::dlpack_reader::cuda : distill::dlpack_reader::host;
}

template <class Element>
void check_dlpack_logits(FuzzedDataProvider& bytes, DLDataType type) {
    const DLDataType types[] = {type, type, type, type, {2, 16, 1}, {2, 32, 1}, {2, 64, 1}, {4, 16, 1}};
    const auto reader = read_reader(bytes);
    const dlpack_tensor t = read_dlpack(bytes, types, false, reader);
    std::optional<matrix> expected;
    if (t.reached && has_type(t.fields, type)) expected = matrix_of(t.described);
    constexpr std::string_view name = "distill: a DLPack tensor of logits ";
    check(t.described, expected, name, [&] { return distill::view_of<Element>(t.fields, reader); });
    check(t.described, expected, name, [&] { return distill::view_of<const Element>(t.fields, reader); });
}

void check_dlpack_numbers(FuzzedDataProvider& bytes, bool integers) {
    const std::uint8_t code = integers ? 0 : 2;
    const DLDataType types[] = {{code, 32, 1}, {code, 64, 1}, {code, 32, 1}, {code, 64, 1}, {1, 32, 1}, {code, 16, 1}};
    const auto reader = read_reader(bytes);
    const dlpack_tensor t = read_dlpack(bytes, types, true, reader);
    std::optional<matrix> expected;
    if (t.reached && (has_type(t.fields, types[0]) || has_type(t.fields, types[1]))) expected = numbers_of(t.described);
    constexpr std::string_view name = "distill: a DLPack tensor of per-row numbers ";
    if (integers)
        check(t.described, expected, name, [&] { return distill::row_indices_of(t.fields, reader); });
    else
        check(t.described, expected, name, [&] { return distill::row_values_of(t.fields, reader); });
}

// -------------------------------------------------------------------------------------------------------------------- mdspan

template <class Element, std::size_t Rank, class Index>
struct strided_span {
    using element_type = Element;
    Element* data;
    axes<Index, Index> described;

    static constexpr std::size_t rank() { return Rank; }
    [[nodiscard]] Index extent(std::size_t i) const { return described.length[i]; }
    [[nodiscard]] Index stride(std::size_t i) const { return described.stride[i]; }
    [[nodiscard]] Element* data_handle() const { return data; }
};

template <class Element, std::size_t Rank, class Index>
void check_mdspan(FuzzedDataProvider& bytes, bool per_row) {
    const auto a = read_axes<Index, Index>(bytes, Rank, !per_row);
    const std::uintptr_t address = read_address(bytes);
    tensor t = tensor_of(a, Rank, per_row);
    t.address = static_cast<whole>(address);
    set_element<Element>(t);
    const strided_span<Element, Rank, Index> span{reinterpret_cast<Element*>(address), a};
    if constexpr (Rank < 3 && (std::is_same_v<Element, const double> || std::is_integral_v<Element>))
        if (per_row)
            check(t, numbers_of(t), "distill: an mdspan of per-row numbers ", [&] { return distill::values_of(span); });
    if constexpr (Rank > 1 && !std::is_integral_v<Element>)
        if (!per_row) check(t, matrix_of(t), "distill: an mdspan of logits ", [&] { return distill::view_of(span); });
}

// -------------------------------------------------------------------------------------------------------- range with a shape

template <class Element, std::size_t Rank, class Length, class Stride>
void check_span(FuzzedDataProvider& bytes) {
    const int form = bytes.ConsumeIntegral<std::uint8_t>() % 3;
    const bool has_strides = form != 0;
    auto a = read_axes<Length, Stride>(bytes, Rank, has_strides);
    // The last form is of a matrix, its strides spelled as one number.
    const bool one_stride = form == 2 && Rank == 2;
    if (one_stride) a.stride[1] = 1;
    tensor t = tensor_of(a, Rank, false);
    if (!has_strides) remove_gaps(t);

    // Mostly exactly what the shape needs, or one more or less.
    std::size_t held = 1;
    if (fuzz::one_in(bytes, 8)) {
        held = bytes.ConsumeIntegral<std::size_t>();
    } else {
        for (const axis& x : {t.outer, t.inner, t.columns})
            held += (static_cast<std::size_t>(x.length) - 1) * static_cast<std::size_t>(x.stride);
        held += bytes.ConsumeIntegral<std::uint8_t>() % 8 >= 6 ? 1 : 0;
        if (fuzz::one_in(bytes, 8)) --held;
    }
    held = std::min(held, static_cast<std::size_t>(largest_size) / sizeof(Element));
    const std::uintptr_t address = held == 0 ? 0 : std::max<std::uintptr_t>(read_address(bytes), 1);

    t.address = static_cast<whole>(address);
    t.held = static_cast<whole>(held);
    set_element<Element>(t);
    std::optional<matrix> expected = matrix_of(t);
    if (one_stride && expected && expected->rows == 1) expected->stride = static_cast<std::ptrdiff_t>(a.stride[0]);

    const std::span<Element> values(reinterpret_cast<Element*>(address), held);
    Length shape[Rank];
    Stride strides[Rank];
    std::copy_n(a.length.begin(), Rank, shape);
    std::copy_n(a.stride.begin(), Rank, strides);
    check(t, expected, "distill: a span of logits ", [&] {
        if constexpr (Rank == 2) {
            if (form == 2) return distill::view_of(values, shape[0], shape[1], strides[0]);
            if (form == 0 && bytes.ConsumeBool()) return distill::view_of(values, shape[0], shape[1]);
        }
        return form == 0 ? distill::view_of(values, shape) : distill::view_of(values, shape, strides);
    });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    FuzzedDataProvider bytes(data, size);
    switch (bytes.ConsumeIntegral<std::uint8_t>() % 16) {
        case 0:
            check_dlpack_logits<float>(bytes, {2, 32, 1});
            break;
        case 1:
            check_dlpack_logits<double>(bytes, {2, 64, 1});
            break;
        case 2:
            check_dlpack_logits<Eigen::half>(bytes, {2, 16, 1});
            break;
        case 3:
            check_dlpack_logits<Eigen::bfloat16>(bytes, {4, 16, 1});
            break;
        case 4:
            check_dlpack_numbers(bytes, false);
            break;
        case 5:
            check_dlpack_numbers(bytes, true);
            break;
        case 6:
            check_mdspan<float, 2, std::int64_t>(bytes, false);
            break;
        case 7:
            check_mdspan<const double, 3, std::size_t>(bytes, false);
            break;
        case 8:
            check_mdspan<const double, 2, std::int32_t>(bytes, bytes.ConsumeBool());
            break;
        case 9:
            check_mdspan<const double, 1, std::size_t>(bytes, true);
            break;
        case 10:
            check_mdspan<std::int32_t, 2, std::int64_t>(bytes, true);
            break;
        case 11:
            check_span<float, 2, std::int64_t, std::int64_t>(bytes);
            break;
        case 12:
            check_span<const float, 3, std::int64_t, std::int64_t>(bytes);
            break;
        case 13:
            check_span<double, 3, std::size_t, std::size_t>(bytes);
            break;
        case 14:
            check_span<const Eigen::half, 2, std::size_t, std::int64_t>(bytes);
            break;
        default:
            check_span<double, 2, std::uint32_t, std::int32_t>(bytes);
    }
    return 0;
}
