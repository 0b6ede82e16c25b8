/// The library's version.
#pragma once

#define DISTILL_VERSION_MAJOR 0
#define DISTILL_VERSION_MINOR 1
#define DISTILL_VERSION_PATCH 0

/// One number that grows with the version: 10000 major + 100 minor + patch.
#define DISTILL_VERSION (DISTILL_VERSION_MAJOR * 10000 + DISTILL_VERSION_MINOR * 100 + DISTILL_VERSION_PATCH)
