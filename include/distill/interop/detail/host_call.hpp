/// The tensors of one call as a host has them at run time, by the names of a batch's fields: checked, and as a typed batch.
#pragma once

#include <distill/core/batch.hpp>
#include <distill/core/error.hpp>
#include <distill/core/logits_view.hpp>
#include <distill/core/reduction.hpp>
#include <distill/core/row_array.hpp>
#include <distill/interop/detail/tensor_axes.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace distill::inline DISTILL_ABI {

/// The fields of a batch beside its logits (core/batch.hpp), each a tensor of a host. One that is not given stays empty.
/// A field of one number per row has the shape of the logits without the vocabulary, or [rows].
template <class Tensor>
struct host_fields {
    Tensor weights{};
    Tensor tokens{};
    Tensor teacher_tokens{};
    Tensor labels{};
    Tensor old_log_probs{};
    Tensor teacher_log_probs{};
    Tensor advantages{};
    Tensor sequence_offsets{};
    Tensor temperatures{};
    Tensor coefficients{};
    Tensor top_tokens{};
    Tensor top_log_probs{};
    Tensor sequence_log_ratios{};
};

namespace detail {

/// The element types that a call reads or writes.
enum class element_type : unsigned char { other, float64, float32, float16, bfloat16, int64, int32 };

constexpr std::string_view name_of(element_type type) {
    constexpr std::string_view names[] = {"other", "float64", "float32", "float16", "bfloat16", "int64", "int32"};
    return names[static_cast<std::size_t>(type)];
}

constexpr std::size_t bytes_of(element_type type) {
    constexpr std::size_t bytes[] = {1, 8, 4, 2, 2, 8, 4};
    return bytes[static_cast<std::size_t>(type)];
}

/// The type that a gradient of logits of this type has: the logits' own. Of half it is float32, for a gradient divided by
/// the number of rows is often below half's smallest number.
constexpr element_type gradient_type_of(element_type logits) {
    return logits == element_type::float16 ? element_type::float32 : logits;
}

/// A tensor as a host describes it.
struct host_tensor {
    const void* data = nullptr;
    element_type type = element_type::other;
    std::string type_name{};  ///< the host's name of a type that is none of the others
    std::string elsewhere{};  ///< the device that the tensor is on, where the processor cannot read it
    tensor_axes axes{};
    bool given = false;              ///< false: the field stays empty
    bool asks_for_gradient = false;  ///< the host differentiates with respect to it

    [[nodiscard]] std::ptrdiff_t length(std::size_t axis) const { return axes.axis[axis].length; }
};

/// Everything of one call. A gradient, and an array of the rows' own losses, that is not given is not written.
struct host_call {
    host_tensor student{}, teacher{}, gradient{}, row_losses{};
    host_fields<host_tensor> fields{};
};

/// `[2, 8, 32000]`; of the first `count` axes.
inline std::string shape_of(const host_tensor& tensor, std::size_t count) {
    std::string text = "[";
    for (std::size_t i = 0; i < count; ++i) text += sentence({i == 0 ? "" : ", ", tensor.length(i)});
    return text + "]";
}
inline std::string shape_of(const host_tensor& tensor) { return shape_of(tensor, tensor.axes.kept()); }

inline bool same_lengths(const host_tensor& a, const host_tensor& b, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
        if (a.length(i) != b.length(i)) return false;
    return true;
}

/// Finds what is wrong with the tensors of a call. Every sentence about a host's tensors is here.
class host_checker {
public:
    explicit host_checker(const host_call& call) : call_(call) {
        student_rows_ = logits("batch.student", call.student);
        if (call.teacher.given) teacher_rows_ = same_logits("batch.teacher", call.teacher);
        if (call.gradient.given) gradient_rows_ = same_logits("gradient", call.gradient);
        types_of_logits();
        constant("batch.teacher", call.teacher);
        if (call.row_losses.given) numbers<row_values>({"row_losses", field_length::rows}, call.row_losses);
        for_each_field(
            [&](const batch_field& field, const auto& array, const host_tensor& tensor) {
                constant(field.name, tensor);
                if (tensor.given) numbers<std::remove_cvref_t<decltype(array)>>(field, tensor);
            },
            empty_, call.fields);
    }

    /// Empty where the call can be made.
    [[nodiscard]] const std::string& error() const { return error_; }

    template <class Element>
    [[nodiscard]] logits_view<const Element> student() const {
        return view_of_rows<const Element>(call_.student, student_rows_);
    }
    template <class Element>
    [[nodiscard]] logits_view<const Element> teacher() const {
        return view_of_rows<const Element>(call_.teacher, teacher_rows_);
    }
    /// A host says of no tensor that its memory is const.
    template <class Element>
    [[nodiscard]] logits_view<Element> gradient() const {
        const auto view = view_of_rows<const Element>(call_.gradient, gradient_rows_);
        return call_.gradient.given
                   ? logits_view<Element>(const_cast<Element*>(view.data), view.rows, view.vocabulary, view.row_stride)
                   : logits_view<Element>{};
    }

private:
    static constexpr bool is_logit_type(element_type type) {
        return type == element_type::float64 || type == element_type::float32 || type == element_type::float16 ||
               type == element_type::bfloat16;
    }

    void refuse(sentence_parts parts) {
        if (error_.empty()) error_ = sentence(parts);
    }
    bool demand(bool condition, sentence_parts parts) {
        if (!condition) refuse(parts);
        return error_.empty();
    }
    static std::string type_of(const host_tensor& tensor) {
        return tensor.type == element_type::other ? tensor.type_name : std::string(name_of(tensor.type));
    }

    void constant(std::string_view name, const host_tensor& tensor) {
        demand(!tensor.asks_for_gradient,
               {name, " asks for a gradient, and a loss gives one to batch.student alone: detach it"});
    }
    bool readable(std::string_view name, const host_tensor& tensor) {
        return demand(tensor.elsewhere.empty(),
                      {name, " is on ", tensor.elsewhere, ", expected memory that the processor reads"});
    }
    static tensor_memory memory_of(const host_tensor& tensor) {
        return {tensor.data, bytes_of(tensor.type), bytes_of(tensor.type)};
    }

    tensor_rows logits(std::string_view name, const host_tensor& tensor) {
        if (!demand(tensor.given, {name, " is missing"}) || !readable(name, tensor) ||
            !demand(is_logit_type(tensor.type),
                    {name, " has elements of type ", type_of(tensor), ", expected float32, float64, float16 or bfloat16"}))
            return {};
        const tensor_rows rows = rows_of_logits(tensor.axes, memory_of(tensor));
        demand(rows.problem.empty(), {name, " ", rows.problem});
        return rows;
    }

    tensor_rows same_logits(std::string_view name, const host_tensor& tensor) {
        const tensor_rows rows = logits(name, tensor);
        if (error_.empty())
            demand(tensor.axes.rank == call_.student.axes.rank && same_lengths(tensor, call_.student, tensor.axes.kept()),
                   {name, " has the shape ", shape_of(tensor), ", batch.student has ", shape_of(call_.student)});
        return rows;
    }

    void types_of_logits() {
        if (!error_.empty()) return;
        const element_type student = call_.student.type, written = gradient_type_of(student);
        if (call_.teacher.given)
            demand(call_.teacher.type == student || call_.teacher.type == element_type::float32,
                   {"batch.teacher has elements of type ", type_of(call_.teacher), ", expected ", name_of(student),
                    student == element_type::float32 ? "" : " or float32", ", for batch.student has ", name_of(student)});
        if (call_.gradient.given)
            demand(call_.gradient.type == written, {"gradient has elements of type ", type_of(call_.gradient), ", expected ",
                                                    name_of(written), ", for batch.student has ", name_of(student)});
    }

    template <class Array>
    void numbers(const batch_field& field, const host_tensor& tensor) {
        constexpr bool integers = std::same_as<Array, row_indices>;
        if (!error_.empty() || !readable(field.name, tensor)) return;
        const element_type narrow = integers ? element_type::int32 : element_type::float32;
        const element_type wide = integers ? element_type::int64 : element_type::float64;
        if (!demand(tensor.type == narrow || tensor.type == wide, {field.name, " has elements of type ", type_of(tensor),
                                                                   ", expected ", name_of(narrow), " or ", name_of(wide)}))
            return;
        const tensor_rows found = rows_of_numbers(tensor.axes, memory_of(tensor));
        if (!demand(found.problem.empty(), {field.name, " ", found.problem})) return;

        if (field.length == field_length::sequences) {
            demand(tensor.axes.rank == 1, {field.name, " has ", tensor.axes.rank, " dimensions, expected 1"});
            return;
        }
        const bool per_token = field.length == field_length::tokens;
        const std::size_t leading = call_.student.axes.kept() - 1, rank = tensor.axes.kept();
        const std::size_t own = per_token ? rank - 1 : rank;
        if ((own == leading && same_lengths(tensor, call_.student, leading)) ||
            (own == 1 && tensor.length(0) == student_rows_.rows))
            return;
        std::string expected = shape_of(call_.student, leading);
        const std::string flat = sentence({"[", student_rows_.rows, "]"});
        if (leading > 1) expected += " or " + flat;
        refuse({field.name, " has the shape ", shape_of(tensor), ", expected ", expected,
                per_token ? ", and one axis more of the teacher's tokens" : ""});
    }

    template <class Element>
    static logits_view<Element> view_of_rows(const host_tensor& tensor, const tensor_rows& rows) {
        if (!tensor.given) return {};
        return {static_cast<Element*>(tensor.data), rows.rows, rows.columns, rows.stride};
    }

    const host_call& call_;
    tensor_rows student_rows_{}, teacher_rows_{}, gradient_rows_{};
    batch<std::byte> empty_{};  ///< for the types of its fields
    std::string error_{};
};

template <class Array>
Array array_of(const host_tensor& tensor) {
    constexpr bool integers = std::same_as<Array, row_indices>;
    using narrow = std::conditional_t<integers, std::int32_t, float>;
    using wide = std::conditional_t<integers, std::int64_t, double>;
    if (!tensor.given) return {};
    std::ptrdiff_t count = 1;
    for (std::size_t i = 0; i < tensor.axes.kept(); ++i) count *= tensor.length(i);
    return bytes_of(tensor.type) == sizeof(narrow) ? Array(static_cast<const narrow*>(tensor.data), count)
                                                   : Array(static_cast<const wide*>(tensor.data), count);
}

/// A second derivative is asked of a loss.
inline void refuse_second_derivative() {
    report_error("a loss is differentiated once, and its gradient is a constant: call backward without create_graph");
}

/// The reduction of losses that stay one per row.
struct each_row {
    static constexpr bool needs_sequences = false;
    static constexpr double sequence_factor(double) { return 1.0; }
    static constexpr double denominator(const row_totals&) { return 1.0; }
};

/// Every pair of element types.
struct every_pair {
    static constexpr bool has(element_type, element_type) { return true; }
};

/// One pair: a program that is compiled for the tensors at hand.
template <element_type Student, element_type Teacher>
struct one_pair {
    static constexpr bool has(element_type student, element_type teacher) {
        return student == Student && teacher == Teacher;
    }
};

/// use(batch<Student, Teacher>, logits_view<Gradient>) with what the call's tensors hold; the view is absent where no
/// gradient is given. Half and BFloat16 are the host's own 16-bit types. The teacher's logits are of the student's type or
/// float, the gradient is of gradient_type_of the student's. Anything else is refused before `use` is called, and so is a
/// pair that is not one of Pairs, for which nothing is compiled.
template <class Half, class BFloat16, class Pairs = every_pair, class Use>
void with_typed_batch(const host_call& call, const Use& use) {
    using enum element_type;
    const host_checker checked(call);
    if (!checked.error().empty()) return report_error({checked.error()});
    const element_type of_teacher = call.teacher.given ? call.teacher.type : call.student.type;
    bool found = false;
    const auto try_pair =
        [&]<element_type StudentType, element_type TeacherType, class Student, class Teacher, class Gradient>() {
            if constexpr (Pairs::has(StudentType, TeacherType)) {
                if (call.student.type != StudentType || of_teacher != TeacherType) return;
                found = true;
                batch<Student, Teacher> in{.student = checked.student<Student>(), .teacher = checked.teacher<Teacher>()};
                for_each_field(
                    [](const batch_field&, auto& array, const host_tensor& tensor) {
                        array = array_of<std::remove_cvref_t<decltype(array)>>(tensor);
                    },
                    in, call.fields);
                use(in, checked.gradient<Gradient>());
            }
        };
    try_pair.template operator()<float32, float32, float, float, float>();
    try_pair.template operator()<float64, float64, double, double, double>();
    try_pair.template operator()<float64, float32, double, float, double>();
    try_pair.template operator()<float16, float16, Half, Half, float>();
    try_pair.template operator()<float16, float32, Half, float, float>();
    try_pair.template operator()<bfloat16, bfloat16, BFloat16, BFloat16, BFloat16>();
    try_pair.template operator()<bfloat16, float32, BFloat16, float, BFloat16>();
    if (!found)
        report_error({"this loss is not compiled for a student of ", name_of(call.student.type), " and a teacher of ",
                      name_of(of_teacher)});
}

}  // namespace detail
}  // namespace distill::inline DISTILL_ABI
