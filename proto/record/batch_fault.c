#include "proto/record/batch_fault.h"

#include "proto/sys/check.h"

const char *batch_fault_text(enum batch_fault fault)
{
    switch (fault) {
#define X(name, number, status, text)                                                              \
    case BATCH_FAULT_##name:                                                                       \
        return text;
        BATCH_FAULT_TABLE(X)
#undef X
    }
    check_unreachable("batch fault outside its table");
}

enum status batch_fault_status(enum batch_fault fault)
{
    switch (fault) {
#define X(name, number, status, text)                                                              \
    case BATCH_FAULT_##name:                                                                       \
        return STATUS_##status;
        BATCH_FAULT_TABLE(X)
#undef X
    }
    check_unreachable("batch fault outside its table");
}

int16_t batch_fault_code(enum batch_fault fault)
{
    switch (fault) {
#define X(name, number, status, text)                                                              \
    case BATCH_FAULT_##name:                                                                       \
        return number;
        BATCH_FAULT_TABLE(X)
#undef X
    }
    check_unreachable("batch fault outside its table");
}
