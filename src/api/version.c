/* version.c - which Thornback this is, in a file of its own so that a test can stand for another one. */
#include "api/version.h"

const char tbi_version[TBI_VERSION_SIZE] = PACKAGE_VERSION;
