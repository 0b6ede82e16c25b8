#include "catalogue.hpp"

namespace heads {

TEST_CASE("divergences through heads are the reference's on their logits") {
    check_catalogue(distill_test::vocabulary_catalogue());
}

}  // namespace heads
