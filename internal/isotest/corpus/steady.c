/*
 * Preloaded into the programs that make images: one clock reading, one
 * sequence of random numbers and file times that do not tell when a tree was
 * written, so that two runs write the same bytes. genisoimage and isohybrid
 * know no SOURCE_DATE_EPOCH.
 * cc -shared -fPIC -o steady.so steady.c
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>

static time_t epoch(void)
{
	const char *s = getenv("SOURCE_DATE_EPOCH");
	return s ? (time_t)atoll(s) : 0;
}

time_t time(time_t *t)
{
	time_t now = epoch();
	if (t)
		*t = now;
	return now;
}

int gettimeofday(struct timeval *tv, void *tz)
{
	(void)tz;
	tv->tv_sec = epoch();
	tv->tv_usec = 0;
	return 0;
}

clock_t clock(void) { return 0; }
void srand(unsigned seed) { (void)seed; }
void srandom(unsigned seed) { (void)seed; }

/* libuuid's, version 4 in form. */
void uuid_generate(unsigned char *out)
{
	static unsigned char n;
	int i;
	for (i = 0; i < 16; i++)
		out[i] = 0x7e;
	out[6] = 0x4e;
	out[8] = 0x8e;
	out[15] = ++n;
}

/* Rock Ridge records the times of access and of change as well. */
static int settle(int rc, struct stat64 *st)
{
	if (rc)
		return rc;
	if (st->st_mtim.tv_sec > epoch())
		st->st_mtim.tv_sec = epoch();
	st->st_mtim.tv_nsec = 0;
	st->st_atim = st->st_ctim = st->st_mtim;
	return 0;
}

#define STAT(name, args, ...)                                            \
	int name(args, struct stat64 *st)                                \
	{                                                                \
		int (*real)(args, struct stat64 *) = dlsym(RTLD_NEXT, #name); \
		return settle(real(__VA_ARGS__, st), st);                \
	}
#define COMMA ,

STAT(stat64, const char *path, path)
STAT(lstat64, const char *path, path)
STAT(fstat64, int fd, fd)
/* In programs built with a C library before 2.33; struct stat is stat64. */
STAT(__xstat, int v COMMA const char *path, v, path)
STAT(__lxstat, int v COMMA const char *path, v, path)
STAT(__xstat64, int v COMMA const char *path, v, path)
