// The headers after the macros that other people's headers leave behind. The libraries that they include come first: those
// cannot be helped.
#include <dlpack/dlpack.h>
#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <mutex>
#include <new>
#include <optional>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unsupported/Eigen/CXX11/ThreadPool>
#include <utility>
#include <vector>
#include <xtensor/xadapt.hpp>
#include <xtensor/xstrided_view.hpp>
#include <xtensor/xtensor.hpp>
#if defined(__ARM_NEON)
#include <arm_neon.h>
#endif

// X11's Xlib.h and X.h.
#define Bool int
#define Status int
#define None 0L
#define True 1
#define False 0
#define Success 0
#define Always 2
#define Above 0
#define Below 1
#define Unsorted 0
#define Complex 0
#define Convex 2
#define Button1 1
#define CurrentTime 0L
#define GrayScale 1

// windows.h.
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))
#define small char
#define near
#define far
#define NEAR
#define FAR
#define interface struct
#define ERROR 0
#define IN
#define OUT
#define OPTIONAL
#define CONST const
#define VOID void
#define PASCAL
#define DELETE 0x10000L
#define STRICT 1
#define ABSOLUTE 1
#define RELATIVE 2
#define TRUE 1
#define FALSE 0
#define pascal
#define cdecl
#define hyper __int64

// complex.h.
#define I _Complex_I
#define complex _Complex

// Arduino's.
#define abs(x) ((x) > 0 ? (x) : -(x))
#define round(x) ((x) >= 0 ? (long)((x) + 0.5) : (long)((x) - 0.5))
#define sq(x) ((x) * (x))
#define bit(b) (1UL << (b))
#define constrain(x, low, high) ((x) < (low) ? (low) : ((x) > (high) ? (high) : (x)))
#define radians(x) ((x) * 0.017453292519943295)
#define degrees(x) ((x) * 57.29577951308232)
#define word(x) (x)
#define F(text) text
#define PI 3.1415926535897932
#define HIGH 1
#define LOW 0
#define INPUT 0
#define OUTPUT 1
#define B0 0
#define B1 1
#define B01 1
#define B10 2

// termios.h, sys/param.h, others.
#define major(x) (x)
#define minor(x) (x)
#define MIN(a, b) (((a) < (b)) ? (a) : (b))
#define MAX(a, b) (((a) > (b)) ? (a) : (b))
#define ECHO 010
#define unix 1
#define linux 1
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

// AssertMacros.h of old Apple systems, and loggers.
#define check(assertion)
#define check_noerr(error)
#define verify(assertion)
#define require(assertion, label)     \
    do {                              \
        if (!(assertion)) goto label; \
    } while (0)
#define require_noerr(error, label)
#define assert_true(x)
#define CHECK(x)
#define LOG(x)
#define INFO 0
#define DEBUG 1
#define fail(message)

#include <opt_in_headers.hpp>
