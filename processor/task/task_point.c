#include "processor/task/task_point.h"

#include "proto/sys/check.h"

#include <string.h>

static const char *const names[TASK_POINT_COUNT] = {
#define X(name, text) text,
    TASK_POINT_TABLE(X)
#undef X
};

const char *task_point_name(enum task_point point)
{
    check(point < TASK_POINT_COUNT);
    return names[point];
}

bool task_point_find(const char *name, enum task_point *out_point)
{
    for (unsigned i = 0; i < TASK_POINT_COUNT; i++) {
        if (strcmp(names[i], name) == 0) {
            *out_point = (enum task_point)i;
            return true;
        }
    }
    return false;
}
