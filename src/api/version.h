/* version.h - which Thornback this is. All ranks of a job must run the same one. */
#ifndef TBI_VERSION_H
#define TBI_VERSION_H

enum { TBI_VERSION_SIZE = 32 };

extern const char tbi_version[TBI_VERSION_SIZE];

#endif
