#include "queue/queue.h"
#include "proc/control.h"
void ek_admin_request (EkMsg *msg) { ek_control_answer (msg, EK_FAIL, EK_STR ("no")); }
