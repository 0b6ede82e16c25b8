// Logits [batch, time, vocabulary] of a padded batch: their rows without a copy, weights that mask the padding, and the
// offsets by which a reduction knows the sequences.
#include <dlpack/dlpack.h>

#include <cstdint>
#include <cstdio>
#include <distill/distill.hpp>
#include <distill/interop/dlpack.hpp>
#include <distill/interop/span.hpp>
#include <span>
#include <vector>

int main() {
    // Two sequences of 3 rows, of which the second has one token; its padding holds what the host left there.
    const int batch = 2, time = 3, vocabulary = 2;
    const std::vector<float> student{1, 0, 0, 2, 1, 1, 3, 0, 7, 8, 9, 7}, teacher{0, 1, 1, 2, 0, 1, 1, 2, 9, 9, 9, 9};
    const std::vector<std::int32_t> lengths{3, 1};
    const std::vector<std::int64_t> labels{0, 1, 1, 0, -1, -1};

    std::vector<float> weights(labels.size());
    distill::weights_of_padded_batch(lengths, time, std::span(weights));
    std::vector<std::int32_t> offsets(lengths.size() + 1);
    distill::offsets_of_padded_batch(time, std::span(offsets));

    const distill::batch<float> in{.student = distill::view_of(student, {batch, time, vocabulary}),
                                   .teacher = distill::view_of(teacher, {batch, time, vocabulary}),
                                   .weights = weights,
                                   .labels = labels,
                                   .sequence_offsets = offsets};
    const distill::loss f{distill::forward_kl{} + distill::cross_entropy{}, distill::eigen{}, distill::sequence_mean{}};
    std::vector<float> gradient(student.size());
    const auto result = f(in, distill::view_of(gradient, {batch, time, vocabulary}));
    std::printf("loss %.6f over %td tokens of %g sequences\n", result.value, result.active_rows, result.denominator);
    for (int row = 0; row < batch * time; ++row)
        std::printf("% .6f % .6f\n", gradient[std::size_t(2 * row)], gradient[std::size_t(2 * row) + 1]);

    // The same from a framework's tensors: rows of int64 labels and of float weights come as [batch, time].
    std::int64_t shape[] = {batch, time};
    const auto tensor_of = [&](const void* data, DLDataType type) {
        return DLTensor{const_cast<void*>(data), {kDLCPU, 0}, 2, type, shape, nullptr, 0};
    };
    const DLTensor label_tensor = tensor_of(labels.data(), {kDLInt, 64, 1});
    const DLTensor weight_tensor = tensor_of(weights.data(), {kDLFloat, 32, 1});
    const distill::batch<float> borrowed{.student = in.student,
                                         .teacher = in.teacher,
                                         .weights = distill::row_values_of(weight_tensor),
                                         .labels = distill::row_indices_of(label_tensor),
                                         .sequence_offsets = offsets};
    std::printf("loss %.6f\n", f(borrowed).value);
}
