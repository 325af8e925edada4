#include "proto/sys/host/host_lane.h"

#include "proto/sys/check.h"
#include "proto/sys/host/host_file.h"
#include "proto/sys/host/host_thread.h"
#include "proto/sys/loop.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

struct disk_lane {
    struct loop *loop; /* Borrowed for life. */
    uv_thread_t thread;
    uv_mutex_t mutex;
    uv_cond_t has_work;

    /* Under the mutex. */
    struct list queued;
    struct list done;
    bool is_posted; /* `letter` is in the loop's mailbox. */
    bool is_ending;

    /* The loop's own. */
    struct mail letter;
    struct list ready;
    bool is_delivering;
    bool is_closed;
};

static void move_all(struct list *from, struct list *to)
{
    struct list *link = NULL;
    while ((link = list_take_first(from)) != NULL) {
        list_append(to, link);
    }
}

/* NULL: the lane ends. */
static struct disk_request *run_wait_for_work(struct disk_lane *self)
{
    uv_mutex_lock(&self->mutex);
    while (list_is_empty(&self->queued) && !self->is_ending) {
        uv_cond_wait(&self->has_work, &self->mutex);
    }
    struct list *link = list_take_first(&self->queued);
    uv_mutex_unlock(&self->mutex);
    return link == NULL ? NULL : container_of(link, struct disk_request, link);
}

static void run_hand_over(struct disk_lane *self, struct disk_request *request)
{
    uv_mutex_lock(&self->mutex);
    list_append(&self->done, &request->link);
    bool has_to_post = !self->is_posted;
    self->is_posted = true;
    uv_mutex_unlock(&self->mutex);
    if (has_to_post) {
        mailbox_post(&self->loop->mailbox, &self->letter);
    }
}

static void run_lane(void *context)
{
    struct disk_lane *self = context;
    struct disk_request *request = NULL;
    while ((request = run_wait_for_work(self)) != NULL) {
        host_file_run(request);
        run_hand_over(self, request);
    }
}

static void free_lane(struct disk_lane *self)
{
    uv_cond_destroy(&self->has_work);
    uv_mutex_destroy(&self->mutex);
    free(self);
}

static void deliver_ready(struct disk_lane *self)
{
    struct list *link = NULL;
    while ((link = list_take_first(&self->ready)) != NULL) {
        struct disk_request *request = container_of(link, struct disk_request, link);
        request->on_done(request);
    }
}

static void deliver_letter(struct mail *letter)
{
    struct disk_lane *self = container_of(letter, struct disk_lane, letter);
    uv_mutex_lock(&self->mutex);
    self->is_posted = false;
    move_all(&self->done, &self->ready);
    uv_mutex_unlock(&self->mutex);

    self->is_delivering = true;
    deliver_ready(self);
    self->is_delivering = false;
    if (self->is_closed && !self->is_posted) { /* Closed: the thread is gone, no lock needed. */
        free_lane(self);
    }
}

static bool is_named(const char *const *names, const char *name)
{
    for (; names != NULL && *names != NULL; names++) {
        if (strcmp(*names, name) == 0) {
            return true;
        }
    }
    return false;
}

static void open_make_realtime(struct disk_lane *self, struct host_disk *disk, const char *name)
{
    if (!is_named(disk->realtime_lanes, name)) {
        return;
    }
    const struct sched_param parameters = {.sched_priority = 1};
    int error = pthread_setschedparam(self->thread, SCHED_FIFO, &parameters);
    if (error != 0 && !atomic_exchange(&disk->has_told_realtime, true)) {
        trace_line(disk->trace, TRACE_INFO, "host_disk", "realtime_refused",
                   "lane=\"%s\" errno=%d next=\"commits wait behind busy neighbours\"", name,
                   error);
    }
}

enum status host_lane_open(struct disk *disk, struct loop *loop, const char *name,
                           struct disk_lane **out_lane)
{
    struct disk_lane *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->loop = loop;
    self->letter.deliver = deliver_letter;
    list_init(&self->queued);
    list_init(&self->done);
    list_init(&self->ready);
    check(uv_mutex_init(&self->mutex) == 0);
    check(uv_cond_init(&self->has_work) == 0);
    enum status status = host_thread_start(&self->thread, name, run_lane, self);
    if (status != STATUS_OK) {
        free_lane(self);
        return status;
    }
    open_make_realtime(self, container_of(disk, struct host_disk, disk), name);
    *out_lane = self;
    return STATUS_OK;
}

void host_lane_close(struct disk_lane *self)
{
    check(!self->is_closed);
    uv_mutex_lock(&self->mutex);
    self->is_ending = true;
    uv_cond_signal(&self->has_work);
    uv_mutex_unlock(&self->mutex);
    check(uv_thread_join(&self->thread) == 0);

    move_all(&self->done, &self->ready);
    deliver_ready(self);
    self->is_closed = true;
    /* Otherwise the letter, still under way, or the delivery that called us frees it. */
    if (!self->is_posted && !self->is_delivering) {
        free_lane(self);
    }
}

void host_lane_submit(struct disk_lane *self, struct disk_request *request)
{
    check(!self->is_closed);
    list_init(&request->link);
    uv_mutex_lock(&self->mutex);
    check(!self->is_ending);
    bool was_idle = list_is_empty(&self->queued);
    list_append(&self->queued, &request->link);
    if (was_idle) {
        uv_cond_signal(&self->has_work);
    }
    uv_mutex_unlock(&self->mutex);
}
