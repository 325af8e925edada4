#include "client/millrace/session.h"

#include "client/admin_core.h"
#include "client/millrace/trouble.h"
#include "client/processor_core.h"
#include "proto/sys/check.h"
#include "proto/sys/host/host_clock.h"

#include <stdlib.h>

#define REQUEST_TIMEOUT_MS_DEFAULT 30000
#define PORT_TEXT_DEFAULT "localhost:9092"

int64_t session_until_ns(int64_t timeout_ms)
{
    int64_t now_ns = clock_monotonic_ns(host_clock());
    if (timeout_ms < 0) {
        return now_ns;
    }
    return timeout_ms > (INT64_MAX - now_ns) / CLOCK_NS_PER_MS - 1
               ? INT64_MAX - 1
               : now_ns + timeout_ms * CLOCK_NS_PER_MS;
}

int session_nobody(const struct millrace_client *self, const char *what,
                   struct millrace_error *error)
{
    char why[SESSION_TEXT_BYTES_MAX + 64];
    int code = trouble_status(error, STATUS_UNREACHABLE, what);
    (void)snprintf(why, sizeof why, "nobody answers as a broker at %s", self->bootstrap_text);
    trouble_explain(error, why,
                    "check that the cluster runs and that the bootstrap address is right");
    return code;
}

/* ---- calls ---- */

static void call_deliver(struct mail *mail)
{
    struct session_call *call = container_of(mail, struct session_call, mail);
    call->run(call);
}

bool session_run(struct millrace_client *self, struct session_call *call)
{
    call->session = self;
    call->is_done = false;
    call->mail = (struct mail){.deliver = call_deliver};
    host_gate_enter(&self->gate);
    if (!self->is_open) {
        host_gate_leave(&self->gate);
        return false;
    }
    self->call_count += 1;
    mailbox_post(&self->host.loop.mailbox, &call->mail);
    while (!call->is_done) {
        (void)host_gate_wait(&self->gate, INT64_MAX);
    }
    self->call_count -= 1;
    host_gate_tell(&self->gate);
    host_gate_leave(&self->gate);
    return true;
}

void session_end(struct session_call *call)
{
    struct millrace_client *self = call->session;
    host_gate_enter(&self->gate);
    call->is_done = true;
    host_gate_tell(&self->gate);
    host_gate_leave(&self->gate);
}

/* ---- handles ---- */

bool session_attach(struct millrace_client *self, struct session_handle *handle)
{
    host_gate_enter(&self->gate);
    bool is_open = self->is_open;
    list_init(&handle->in_session);
    if (is_open) {
        handle->session = self;
        self->user_count += 1;
        list_append(&self->handles, &handle->in_session);
    }
    host_gate_leave(&self->gate);
    return is_open;
}

bool session_detach(struct session_handle *handle)
{
    struct millrace_client *self = handle->session;
    host_gate_enter(&self->gate);
    bool is_ours = !list_is_empty(&handle->in_session);
    list_remove(&handle->in_session);
    while (!is_ours && handle->close != NULL) {
        /* The session is closing it on another thread. */
        (void)host_gate_wait(&self->gate, INT64_MAX);
    }
    host_gate_leave(&self->gate);
    return is_ours;
}

void session_unref(struct millrace_client *self)
{
    host_gate_enter(&self->gate);
    check(self->user_count > 0);
    self->user_count -= 1;
    bool is_last = self->user_count == 0;
    host_gate_leave(&self->gate);
    if (is_last) {
        host_gate_done(&self->gate);
        free(self);
    }
}

/* ---- life ---- */

static enum status parse_bootstrap(struct millrace_client *self, struct millrace_bytes text)
{
    char list[SESSION_TEXT_BYTES_MAX];
    text = text.data == NULL ? millrace_text(PORT_TEXT_DEFAULT) : text;
    if (text.size >= sizeof list) {
        return STATUS_FULL;
    }
    memcpy(list, text.data, text.size);
    list[text.size] = '\0';
    memcpy(self->bootstrap_text, list, text.size + 1);
    char *rest = list;
    char *one;
    while ((one = strsep(&rest, ",")) != NULL) {
        if (self->bootstrap_count == CLUSTER_BOOTSTRAP_MAX) {
            return STATUS_FULL;
        }
        if (one[0] != '\0') {
            TRY(address_parse(one, &self->bootstrap[self->bootstrap_count]));
            self->bootstrap_count += 1;
        }
    }
    return self->bootstrap_count > 0 ? STATUS_OK : STATUS_MALFORMED;
}

static int init(struct millrace_client *self, const struct millrace_client_options *options,
                struct millrace_error *error)
{
    if (parse_bootstrap(self, options->bootstrap) != STATUS_OK) {
        return trouble_argument(error, "the bootstrap list cannot be read",
                                "give up to 32 addresses as host:port,host:port");
    }
    struct millrace_bytes client_id =
        options->client_id.data == NULL ? millrace_text("millrace") : options->client_id;
    if (client_id.size >= sizeof self->client_id) {
        return trouble_argument(error, "the client id is too long", "use up to 255 bytes");
    }
    memcpy(self->client_id, client_id.data, client_id.size);
    self->request_timeout_ms =
        options->request_timeout_ms > 0 ? options->request_timeout_ms : REQUEST_TIMEOUT_MS_DEFAULT;
    list_init(&self->handles);
    self->is_open = true;
    self->user_count = 1;
    host_disk_init(&self->disk, &(struct host_disk_options){0});
    if (host_gate_init(&self->gate) != STATUS_OK) {
        return trouble_status(error, STATUS_NO_MEMORY, "cannot open the client");
    }
    struct host_loop_options loop = {.name = "millrace", .disk = &self->disk.disk};
    enum status status = host_loop_init(&self->host, &loop);
    if (status == STATUS_OK) {
        status = host_loop_start(&self->host);
        if (status != STATUS_OK) {
            host_loop_done(&self->host);
        }
    }
    if (status != STATUS_OK) {
        host_gate_done(&self->gate);
        return trouble_status(error, status, "cannot start the client's thread");
    }
    return MILLRACE_OK;
}

int millrace_client_open(const struct millrace_client_options *given,
                         struct millrace_client **out_client, struct millrace_error *error)
{
    struct millrace_client_options options = {0};
    *out_client = NULL;
    if (given != NULL && !trouble_options(&options, sizeof options, given, given->size)) {
        return trouble_argument(error, "the options have a size that cannot be",
                                "set .size = sizeof the struct");
    }
    struct millrace_client *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return trouble_status(error, STATUS_NO_MEMORY, "cannot open the client");
    }
    int code = init(self, &options, error);
    if (code != MILLRACE_OK) {
        free(self);
        return code;
    }
    *out_client = self;
    return trouble_none(error);
}

struct admin_close {
    struct session_call call;
};

static void admin_on_closed(void *context)
{
    struct admin_close *close = context;
    free(close->call.session->admin);
    close->call.session->admin = NULL;
    session_end(&close->call);
}

static void close_admin(struct admin_close *close)
{
    if (close->call.session->admin == NULL) {
        session_end(&close->call);
    } else {
        admin_core_close(close->call.session->admin, admin_on_closed, close);
    }
}

static void processors_on_closed(void *context)
{
    struct admin_close *close = context;
    free(close->call.session->processors);
    close->call.session->processors = NULL;
    close_admin(close);
}

static void admin_close_run(struct session_call *call)
{
    struct admin_close *close = container_of(call, struct admin_close, call);
    call->session->is_admin_closed = true;
    if (call->session->processors == NULL) {
        close_admin(close);
    } else {
        processor_core_close(call->session->processors, processors_on_closed, close);
    }
}

/* All handles, one by one; each is out of the list while it is closed. */
static int close_handles(struct millrace_client *self, int64_t until_ns,
                         struct millrace_error *error)
{
    int first_code = MILLRACE_OK;
    host_gate_enter(&self->gate);
    struct list *link;
    while ((link = list_take_first(&self->handles)) != NULL) {
        struct session_handle *handle = container_of(link, struct session_handle, in_session);
        host_gate_leave(&self->gate);
        struct millrace_error found;
        int code = handle->close(handle, until_ns, &found);
        if (code != MILLRACE_OK && first_code == MILLRACE_OK) {
            first_code = code;
            if (error != NULL) {
                *error = found;
            }
        }
        host_gate_enter(&self->gate);
        handle->close = NULL; /* From here on its own close may free it. */
        host_gate_tell(&self->gate);
    }
    self->is_open = false;
    while (self->call_count > 0) {
        (void)host_gate_wait(&self->gate, INT64_MAX);
    }
    host_gate_leave(&self->gate);
    return first_code;
}

int millrace_client_close(struct millrace_client *self, int64_t timeout_ms,
                          struct millrace_error *error)
{
    (void)trouble_none(error);
    if (self == NULL) {
        return MILLRACE_OK;
    }
    int64_t until_ns = session_until_ns(timeout_ms);
    struct admin_close close = {.call = {.run = admin_close_run}};
    (void)session_run(self, &close.call);
    int code = close_handles(self, until_ns, error);
    host_loop_stop(&self->host);
    host_loop_join(&self->host);
    host_loop_done(&self->host);
    session_unref(self);
    return code;
}
