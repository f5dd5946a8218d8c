#include "data/table.h"
#include <pthread.h>
int bad(char *d) { strcpy(d, "x"); free(d); return atoi(d); }
/* " */ int worse(void) { exit(1); }
	int tabbed;
