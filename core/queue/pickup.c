#include "queue/queue.h"
void ek_pickup_start (void) { }
void ek_pickup_end (void) { }
