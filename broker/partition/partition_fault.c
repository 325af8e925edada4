#include "broker/partition/partition_fault.h"

#include "proto/sys/check.h"

const char *partition_fault_text(enum partition_fault fault)
{
    switch (fault) {
#define X(name, text)                                                                              \
    case PARTITION_FAULT_##name:                                                                   \
        return text;
        PARTITION_FAULT_TABLE(X)
#undef X
    }
    check_unreachable("partition fault outside its table");
}
