/* ekiden.h - lets the tree include <ekiden/ekiden.h> as installed modules do */
#include "../../ekiden.h"
