// How tests spell a launch and shared memory, for nvcc and for the emulation.
//
//     DISTILL_LAUNCH(kernel, grid, block, shared_bytes, stream, arguments...)   a kernel with a comma: (kernel<A, B>)
//     DISTILL_DYNAMIC_SHARED(Type, name)    Type* name: the launch's shared bytes, aligned to 16
//     DISTILL_STATIC_SHARED(name, Type)     Type& name in shared memory; Type may be an array: float[32]
#pragma once

#include <cuda_runtime.h>

#include <type_traits>

#ifdef DISTILL_CUDA_EMULATION
#define DISTILL_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
    ::cuda_emulation::launch(kernel, grid, block, shared_bytes, stream __VA_OPT__(, ) __VA_ARGS__)
#define DISTILL_DYNAMIC_SHARED(Type, name) Type* const name = static_cast<Type*>(::cuda_emulation::dynamic_shared_memory)
#else
#define DISTILL_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
    kernel<<<grid, block, shared_bytes, stream>>>(__VA_ARGS__)
#define DISTILL_DYNAMIC_SHARED(Type, name)                                  \
    extern __shared__ __align__(16) unsigned char distill_dynamic_shared[]; \
    Type* const name = reinterpret_cast<Type*>(distill_dynamic_shared)
#define DISTILL_STATIC_SHARED(name, ...) __shared__ std::type_identity_t<__VA_ARGS__> name
#endif
