// Everything included, nothing used.
#include <distill/distill.hpp>
