#include "tests/sim/sim_workload.h"
const struct sim_workload workload_net[] = {{0}};
