/* What Debian's unwinder, which is built for glibc with _FORTIFY_SOURCE, calls where it reports an error of its own:
 * glibc's checked functions, by musl's plain ones. Compiled with any C compiler; only the C standard is used. */

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

int __vfprintf_chk(FILE *to, int flag, const char *format, va_list words)
{
	(void)flag;
	return vfprintf(to, format, words);
}

int __vsnprintf_chk(char *to, size_t most, int flag, size_t room, const char *format, va_list words)
{
	(void)flag;
	(void)room;
	return vsnprintf(to, most, format, words);
}

int __fprintf_chk(FILE *to, int flag, const char *format, ...)
{
	va_list words;
	va_start(words, format);
	int length = __vfprintf_chk(to, flag, format, words);
	va_end(words);
	return length;
}
