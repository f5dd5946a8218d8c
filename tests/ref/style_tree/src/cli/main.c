/* main - the program may print and exit, but sees the public header only. */
#include "base/err.h"
#include "souk.h"
#include "table.h"
int main(void) { printf("%d\n", 1); exit(rand()); }
