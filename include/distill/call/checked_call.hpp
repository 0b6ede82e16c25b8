/// One call, after everything in it was checked: what a backend receives, on the host and on a device.
#pragma once

#include <distill/call/row_loop.hpp>
#include <distill/call/row_sums.hpp>
#include <distill/call/row_weights.hpp>
#include <distill/core/batch.hpp>
#include <distill/core/fields.hpp>
#include <distill/core/gradient.hpp>
#include <distill/core/result.hpp>
#include <distill/core/temperature.hpp>
#include <distill/row/row_program.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>

namespace distill::inline DISTILL_ABI::call {

/// Where the rows' own losses go, in float or double; nowhere where the caller wants none.
class row_loss_array {
public:
    constexpr row_loss_array() = default;
    template <std::size_t Extent>
    constexpr row_loss_array(std::span<float, Extent> losses) : narrow_(losses.data()) {}
    template <std::size_t Extent>
    constexpr row_loss_array(std::span<double, Extent> losses) : wide_(losses.data()) {}

    DISTILL_INLINE constexpr void store(std::ptrdiff_t row, double loss) const {
        if (narrow_ != nullptr) narrow_[row] = static_cast<float>(loss);
        if (wide_ != nullptr) wide_[row] = loss;
    }

private:
    float* narrow_ = nullptr;
    double* wide_ = nullptr;
};

template <class Destination>
struct element_of {
    using type = void;
};
template <class Element>
struct element_of<gradient<Element>> {
    using type = Element;
};

/// A call is a value, so that it can be carried to a device; pointers in it, those of the batch too, are those of the memory
/// where it runs. Destination is gradient<Element>, or row::no_gradient.
template <class Objective, class Reduction, class Student, class Teacher, class Destination, class Caps>
struct checked_call {
    using objective_type = Objective;
    using student_type = Student;
    using teacher_type = Teacher;
    using gradient_type = typename element_of<Destination>::type;
    using traits = row::objective_traits<Objective>;
    static constexpr bool writes = !std::is_same_v<Destination, row::no_gradient>;
    static constexpr bool needs_sequences = Reduction::needs_sequences;
    /// The row program makes use of a row of scratch.
    static constexpr bool keeps_derivatives = traits::needs_dlogp_sum && !traits::dlogp_sum_is_reverse_kl && writes;

    Objective objective;
    Reduction reduction;
    temperature softmax_temperature;
    std::array<temperature, traits::groups> temperatures;  ///< of the objective's groups
    batch<Student, Teacher> in;
    [[no_unique_address]] Caps caps;
    Destination destination;
    row_loss_array row_losses{};
    fields needed = fields::none;   ///< by terms whose coefficient is not 0
    double denominator = 0.0;       ///< known before the first row on the host; a device finds its own
    loss_result* result = nullptr;  ///< where a device writes it

    [[nodiscard]] DISTILL_INLINE constexpr auto weigher() const { return row_weigher{in, reduction}; }

    /// Rows [begin, end).
    template <class Team>
    DISTILL_INLINE constexpr row_sums run(const Team& team, std::ptrdiff_t begin, std::ptrdiff_t end) const {
        return run_rows(team, *this, begin, end, [](std::ptrdiff_t) {});
    }
};

/// A call is computed in double where it reads or writes some.
template <class Call>
inline constexpr bool any_double =
    std::is_same_v<typename Call::student_type, double> || std::is_same_v<typename Call::teacher_type, double> ||
    std::is_same_v<typename Call::gradient_type, double>;

/// A call with something else to be run ahead of every row of it, from the same blocks: `Before` has run(team, begin, end).
template <class Before, class Call>
struct call_beside {
    using student_type = typename Call::student_type;
    using teacher_type = typename Call::teacher_type;
    using gradient_type = typename Call::gradient_type;
    static constexpr bool keeps_derivatives = Call::keeps_derivatives;

    const Before& before;
    const Call& call;
    const batch<student_type, teacher_type>& in = call.in;

    template <class Team>
    DISTILL_INLINE constexpr row_sums run(const Team& team, std::ptrdiff_t begin, std::ptrdiff_t end) const {
        return run_rows(team, call, begin, end, [&](std::ptrdiff_t row) DISTILL_INLINE_LAMBDA {
            static_cast<void>(before.run(team, row, row + 1));
        });
    }
};

}  // namespace distill::inline DISTILL_ABI::call
