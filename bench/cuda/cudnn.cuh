// The log-softmax of cuDNN.
#pragma once

#include "workload.cuh"

#include <cudnn.h>

namespace bench {

inline void check(cudnnStatus_t status) {
    if (status != CUDNN_STATUS_SUCCESS) throw std::runtime_error(cudnnGetErrorString(status));
}

class log_softmax_of_cudnn {
public:
    log_softmax_of_cudnn() {
        check(cudnnCreate(&handle_));
        check(cudnnCreateTensorDescriptor(&rows_));
    }
    log_softmax_of_cudnn(const log_softmax_of_cudnn&) = delete;
    log_softmax_of_cudnn& operator=(const log_softmax_of_cudnn&) = delete;
    ~log_softmax_of_cudnn() {
        static_cast<void>(cudnnDestroyTensorDescriptor(rows_));
        static_cast<void>(cudnnDestroy(handle_));
    }

    void operator()(const float* logits, float* log_probs, shape s) const {
        const float one = 1.0f, zero = 0.0f;
        check(cudnnSetTensor4dDescriptor(rows_, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, static_cast<int>(s.rows),
                                         static_cast<int>(s.vocabulary), 1, 1));
        check(cudnnSoftmaxForward(handle_, CUDNN_SOFTMAX_LOG, CUDNN_SOFTMAX_MODE_INSTANCE, &one, rows_, logits, &zero, rows_,
                                  log_probs));
    }

private:
    cudnnHandle_t handle_{};
    cudnnTensorDescriptor_t rows_{};
};

}  // namespace bench
