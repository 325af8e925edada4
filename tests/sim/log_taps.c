#include "tests/sim/log_taps.h"

#include "broker/coordinator/txn_settle.h"
#include "broker/partition/partition_state.h"
#include "tests/sim/log_match.h"

static enum log_taps_plant planted;

void log_taps_plant(enum log_taps_plant plant)
{
    planted = plant;
}

/* --- Taps ------------------------------------------------------------------------------------- */

/* The names are the linker's. */
enum status __real_log_open(struct log_store *store, const struct log_options *options,
                            struct log **out_log);
enum status __wrap_log_open(struct log_store *store, const struct log_options *options,
                            struct log **out_log);
enum status __wrap_log_open(struct log_store *store, const struct log_options *options,
                            struct log **out_log)
{
    TRY(__real_log_open(store, options, out_log));
    if (log_match_present() != NULL) {
        log_match_opened(log_match_present(), options, *out_log);
    }
    return STATUS_OK;
}

enum status __real_log_append(struct log *self, const struct log_append *append);
enum status __wrap_log_append(struct log *self, const struct log_append *append);
enum status __wrap_log_append(struct log *self, const struct log_append *append)
{
    TRY(__real_log_append(self, append));
    if (log_match_present() != NULL) {
        log_match_appended(log_match_present(), self, append);
    }
    return STATUS_OK;
}

enum status __real_log_truncate(struct log *self, int64_t offset);
enum status __wrap_log_truncate(struct log *self, int64_t offset);
enum status __wrap_log_truncate(struct log *self, int64_t offset)
{
    TRY(__real_log_truncate(self, offset));
    if (log_match_present() != NULL) {
        log_match_cut(log_match_present(), self, offset);
    }
    return STATUS_OK;
}

void __real_log_forget(struct log *self);
void __wrap_log_forget(struct log *self);
void __wrap_log_forget(struct log *self)
{
    if (log_match_present() != NULL) {
        log_match_forgotten(log_match_present(), self, false);
    }
    __real_log_forget(self);
}

void __real_log_delete(struct log *self);
void __wrap_log_delete(struct log *self);
void __wrap_log_delete(struct log *self)
{
    if (log_match_present() != NULL) {
        log_match_forgotten(log_match_present(), self, true);
    }
    __real_log_delete(self);
}

enum status __real_partition_open(const struct partition_options *options,
                                  struct partition **out_self);
enum status __wrap_partition_open(const struct partition_options *options,
                                  struct partition **out_self);
enum status __wrap_partition_open(const struct partition_options *options,
                                  struct partition **out_self)
{
    TRY(__real_partition_open(options, out_self));
    if (log_match_present() != NULL) {
        log_match_partition_opened(log_match_present(), *out_self);
    }
    return STATUS_OK;
}

void __real_partition_free(struct partition *self);
void __wrap_partition_free(struct partition *self);
void __wrap_partition_free(struct partition *self)
{
    if (log_match_present() != NULL) {
        log_match_partition_gone(log_match_present(), self);
    }
    __real_partition_free(self);
}

void __real_partition_delete(struct partition *self);
void __wrap_partition_delete(struct partition *self);
void __wrap_partition_delete(struct partition *self)
{
    if (log_match_present() != NULL) {
        log_match_partition_gone(log_match_present(), self);
    }
    __real_partition_delete(self);
}

/* --- Plants ----------------------------------------------------------------------------------- */

bool __real_replica_set_appended(struct replica_set *self, int64_t end, int64_t now_ns);
bool __wrap_replica_set_appended(struct replica_set *self, int64_t end, int64_t now_ns);
bool __wrap_replica_set_appended(struct replica_set *self, int64_t end, int64_t now_ns)
{
    bool has_moved = __real_replica_set_appended(self, end, now_ns);
    return planted == LOG_TAPS_UNFLUSHED_MARK ? replica_set_flushed(self, end) : has_moved;
}

void __real_partition_assign(struct partition *self, const struct partition_assignment *assignment);
void __wrap_partition_assign(struct partition *self, const struct partition_assignment *assignment);
void __wrap_partition_assign(struct partition *self, const struct partition_assignment *assignment)
{
    int32_t before = self->leader_epoch;
    if (log_match_present() != NULL) {
        log_match_assigned(log_match_present(), self, assignment);
    }
    __real_partition_assign(self, assignment);
    if (planted == LOG_TAPS_CUT_TO_MARK && self->role == PARTITION_ROLE_FOLLOWER &&
        self->leader_epoch > before) {
        status_ignore(partition_truncate(self, self->high_watermark), "the sound one comes later");
    }
}

bool __real_replica_set_propose(struct replica_set *self, int64_t now_ns, int64_t lag_ns,
                                struct replica_set_proposal *out_proposal);
bool __wrap_replica_set_propose(struct replica_set *self, int64_t now_ns, int64_t lag_ns,
                                struct replica_set_proposal *out_proposal);
bool __wrap_replica_set_propose(struct replica_set *self, int64_t now_ns, int64_t lag_ns,
                                struct replica_set_proposal *out_proposal)
{
    struct replica_set told = *self;
    for (uint8_t i = 0; i < told.replica_count && planted == LOG_TAPS_EAGER_JOIN; i++) {
        told.replicas[i].flushed_end = INT64_MAX;
    }
    if (!__real_replica_set_propose(&told, now_ns, lag_ns, out_proposal)) {
        return false;
    }
    self->is_proposal_pending = true;
    for (uint8_t i = 0; i < self->replica_count; i++) {
        self->replicas[i].is_joining =
            told.replicas[i].is_joining && planted != LOG_TAPS_AGREED_ISR;
    }
    return true;
}

int64_t __real_partition_state_limit(const struct partition *self,
                                     enum partition_isolation isolation);
int64_t __wrap_partition_state_limit(const struct partition *self,
                                     enum partition_isolation isolation);
int64_t __wrap_partition_state_limit(const struct partition *self,
                                     enum partition_isolation isolation)
{
    bool is_planted = planted == LOG_TAPS_OPEN_READ && isolation == PARTITION_READ_COMMITTED;
    return __real_partition_state_limit(self, is_planted ? PARTITION_READ_UNCOMMITTED : isolation);
}

enum status __real_log_list_aborted_txns(struct log *self, int64_t offset, int64_t offset_limit,
                                         struct log_aborted_txn *out_aborted, uint32_t count_max,
                                         uint32_t *out_count);
enum status __wrap_log_list_aborted_txns(struct log *self, int64_t offset, int64_t offset_limit,
                                         struct log_aborted_txn *out_aborted, uint32_t count_max,
                                         uint32_t *out_count);
enum status __wrap_log_list_aborted_txns(struct log *self, int64_t offset, int64_t offset_limit,
                                         struct log_aborted_txn *out_aborted, uint32_t count_max,
                                         uint32_t *out_count)
{
    TRY(__real_log_list_aborted_txns(self, offset, offset_limit, out_aborted, count_max,
                                     out_count));
    *out_count = planted == LOG_TAPS_NO_ABORTED ? 0 : *out_count;
    return STATUS_OK;
}

static bool is_loading; /* Inside the next one. */

void __real_txn_book_on_loaded(void *machine);
void __wrap_txn_book_on_loaded(void *machine);
void __wrap_txn_book_on_loaded(void *machine)
{
    is_loading = true;
    __real_txn_book_on_loaded(machine);
    is_loading = false;
}

void __real_txn_settle_begin(struct txn_book *book, struct txn *txn);
void __wrap_txn_settle_begin(struct txn_book *book, struct txn *txn);
void __wrap_txn_settle_begin(struct txn_book *book, struct txn *txn)
{
    if (planted != LOG_TAPS_LOST_END || !is_loading) {
        __real_txn_settle_begin(book, txn);
    }
}
