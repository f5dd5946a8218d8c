/* table - of a layer that may include base, not graph. */
#include "base/err.h"
#include "graph/graph.h"
