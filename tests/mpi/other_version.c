/* other_version.c - takes the place of version.c: the same program built with another Thornback. */
#include "api/version.h"

const char tbi_version[TBI_VERSION_SIZE] = "0.0.1-other";
