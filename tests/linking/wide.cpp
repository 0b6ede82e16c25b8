// The unit that is compiled for a processor which not every machine has.
#include "units.hpp"

unit wide_unit() { return this_unit(); }
