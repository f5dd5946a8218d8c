/* good - words in comments and strings are no findings: malloc(1), exit(0), strcpy(a, b)
 * printf("%d") over several lines. */
#include "souk.h"   // strcpy(x, y)
#include <stdio.h>
static const char *text = "call malloc(3) or \" exit(1) /* not a comment";
static int quote = '"'; static const char *more = "printf(";
int good(struct calls *c) { return c->free(text) + c->read(quote) + mem_free(more) + snprintf(0, 0, "free("); }
/* a comment that opens "here
   and closes free( there" */ int after(void);
