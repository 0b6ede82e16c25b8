/// Sets aside the macros `abs`, `min` and `max` that consumers' headers may have defined, windows.h and Arduino's among
/// them; included a second time, it gives them back. A header that calls or defines functions of these names includes it
/// after all other includes, and as its last line. Functions of the standard library are called as `(std::min)(a, b)`
/// elsewhere.
#if !defined(DISTILL_MACROS_OF_OTHERS_SET_ASIDE)
#define DISTILL_MACROS_OF_OTHERS_SET_ASIDE
#pragma push_macro("abs")
#pragma push_macro("min")
#pragma push_macro("max")
#undef abs
#undef min
#undef max
#else
#undef DISTILL_MACROS_OF_OTHERS_SET_ASIDE
#pragma pop_macro("abs")
#pragma pop_macro("min")
#pragma pop_macro("max")
#endif
