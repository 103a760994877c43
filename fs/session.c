/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/session.c - see fs/session.h. */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "base/log.h"
#include "base/queue.h"
#include "base/stage.h"
#include "fs/caller.h"
#include "fs/fault.h"
#include "fs/fs.h"
#include "fs/quarantine.h"
#include "fs/session.h"
#include "fs/share.h"

#define MESSAGE_SIZE    (SESSION_BUFFER + 4096u) /* a write of 1 MiB with its headers */
#define SPARE_READERS   10u /* threads that may wait in read(2) at once */
#define MAX_BACKGROUND  512u
#define RESENT          (1ull << 63) /* in unique: the kernel sends it again */
#define HAND_OVER_MS    60 /* for requests in service to end; the others are the next worker's */

struct thread {
	struct session *session;
	unsigned index;
	pthread_t id;
	void *message, *scratch;
	void *spare;
	struct fuse_in_header *request; /* NULL between requests */
	const stage_mark *stage; /* which it is in; under the lock, NULL when it has ended */
	_Atomic bool running;
};

struct session {
	struct fs *fs;
	struct fuse_session *fuse;
	int device;
	struct session_abilities abilities;
	bool got_init;
	bool replaying; /* INIT is answered to libfuse alone; the kernel has its answer */
	struct slate_init init;
	struct share *share;
	struct slate_request *_Atomic slots[SLATE_THREADS]; /* of each thread, while it has one */

	pthread_mutex_t lock; /* protects all below; nothing is taken under it */
	pthread_cond_t wake;  /* parked threads wait here */
	pthread_cond_t ended; /* session_run waits here */
	struct thread threads[SLATE_THREADS];
	unsigned limit;
	_Atomic unsigned started, parked; /* read also without the lock, as hints */
	_Atomic unsigned readers, ready; /* changed also without the lock: hints of when to take it */
	struct io *ready_first, **ready_last;
	_Atomic bool stop;
	bool handing_over;
	int error;
};

/* The thread that runs: libfuse's callbacks have no room for it.  Not state, an address. */
static _Thread_local struct thread *self;

static struct slate_request *_Atomic *slot_of(struct thread *t)
{
	return &t->session->slots[t->index];
}

const struct fuse_in_header *session_request(void)
{
	return self ? self->request : NULL;
}

struct slate_request *session_slot(void)
{
	return self ? *slot_of(self) : NULL;
}

void *session_scratch(void)
{
	return self->scratch;
}

void **session_spare(void)
{
	return &self->spare;
}

const struct session_abilities *session_abilities(const struct session *s)
{
	return &s->abilities;
}

int session_device(const struct session *s)
{
	return s->device;
}

struct fuse_session *session_fuse(const struct session *s)
{
	return s->fuse;
}

/* ---- INIT -------------------------------------------------------------------------------- */

static uint64_t offered_flags(const struct fuse_in_header *in)
{
	const struct fuse_init_in *init = (const void *)(in + 1);
	uint64_t flags = init->flags;

	if (flags & FUSE_INIT_EXT)
		flags |= (uint64_t)init->flags2 << 32;
	return flags;
}

/* libfuse 3.14 composes the INIT reply without knowing these flags: add what both sides can.  With
 * a recorded exchange what was offered is what was agreed then. */
static void patch_init(struct session *s, struct weir_init_out *out)
{
	uint64_t offered = offered_flags(self->request), want = 0;

	if (!s->fs->options.no_passthrough && (offered & WEIR_FUSE_PASSTHROUGH)) {
		want |= WEIR_FUSE_PASSTHROUGH;
		out->max_stack_depth = 1;
		s->abilities.passthrough = true;
	}
	if (offered & WEIR_FUSE_DIRECT_IO_ALLOW_MMAP) {
		want |= WEIR_FUSE_DIRECT_IO_ALLOW_MMAP;
		s->abilities.direct_io_mmap = true;
	}
	/* Without it the kernel asks for security.capability before every write. */
	if (offered & FUSE_HANDLE_KILLPRIV_V2) {
		want |= FUSE_HANDLE_KILLPRIV_V2;
		s->abilities.killpriv_v2 = true;
	}
	/* The long form of SETXATTR says when an ACL takes the set-gid bit away (fs/xattr.c). */
	if (offered & FUSE_SETXATTR_EXT) {
		want |= FUSE_SETXATTR_EXT;
		s->abilities.setxattr_ext = true;
	}
	if (offered & WEIR_FUSE_HAS_RESEND) {
		want |= WEIR_FUSE_HAS_RESEND;
		s->abilities.resend = true;
	}
	out->flags |= (uint32_t)want | FUSE_INIT_EXT;
	out->flags2 |= (uint32_t)(want >> 32);
	s->got_init = true;
}

/* Recorded before the kernel has it: who takes over finds both or neither. */
static int record_init(struct session *s, const struct weir_init_out *out)
{
	return slate_init_set(s->fs->slate, self->request, self->request->len, out, sizeof *out);
}

/* The same question must get the same answer, or the kernel and we differ in what is agreed. */
static bool same_answer(const struct session *s, const struct weir_init_out *out)
{
	const struct weir_init_out *old = (const void *)s->init.out;

	return s->init.out_size == sizeof *out && old->minor == out->minor &&
	       old->flags == out->flags && old->flags2 == out->flags2 &&
	       old->max_write == out->max_write && old->time_gran == out->time_gran;
}

static ssize_t answer_to_init(struct session *s, int fd, struct iovec *iov)
{
	struct weir_init_out *out = iov[1].iov_base;
	ssize_t size = (ssize_t)(iov[0].iov_len + iov[1].iov_len);

	patch_init(s, out);
	if (s->replaying) {
		s->got_init = same_answer(s, out);
		return size;
	}
	if (record_init(s, out) < 0)
		log_warning("the INIT exchange cannot be recorded, ignoring: no worker can take over");
	return writev(fd, iov, 2);
}

static ssize_t device_writev(int fd, struct iovec *iov, int count, void *data)
{
	struct fs *fs = data;

	if (self && self->request && self->request->opcode == FUSE_INIT && count == 2 &&
	    iov[1].iov_len == sizeof(struct weir_init_out))
		return answer_to_init(fs->session, fd, iov);
	return writev(fd, iov, count);
}

static ssize_t device_read(int fd, void *buf, size_t size, void *data)
{
	return read(fd, buf, size);
}

static void init_wants(void *data, struct fuse_conn_info *conn)
{
	const unsigned wanted = FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_DONT_MASK |
				FUSE_CAP_POSIX_ACL | FUSE_CAP_CACHE_SYMLINKS |
				FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
				FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_ASYNC_READ |
				FUSE_CAP_ASYNC_DIO | FUSE_CAP_AUTO_INVAL_DATA;

	conn->want = conn->capable & wanted;
	if (((struct fs *)data)->options.no_acl)
		conn->want &= ~(unsigned)FUSE_CAP_POSIX_ACL;
	conn->max_background = MAX_BACKGROUND;
	conn->max_write = SESSION_BUFFER;
	conn->time_gran = 1;
}

/* ---- one request ------------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t); /* milliseconds will do, and it is free */
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* What a worker before us did for it, if it did anything. */
static void adopt_record(struct thread *t, uint64_t unique)
{
	struct slate *slate = t->session->fs->slate;
	struct slate_request *found = slate_adopt(slate, unique), *old;

	if (!found)
		return;
	found->thread = (int32_t)gettid();
	old = atomic_exchange(slot_of(t), found);
	old->state = SLATE_IDLE;
	slate_request_put(slate, old);
}

/* Others may look at them: fs/share.c, fs/watchdog.c. */
#define set_relaxed(to, value) __atomic_store_n(&(to), value, __ATOMIC_RELAXED)

static void begin_request(struct thread *t)
{
	const struct fuse_in_header *in = t->request;
	uint64_t unique = in->unique & ~RESENT;
	struct slate_request *slot;

	if (in->unique & RESENT)
		adopt_record(t, unique);
	slot = *slot_of(t);
	atomic_store_explicit(&slot->unique, unique, memory_order_relaxed);
	set_relaxed(slot->opcode, in->opcode);
	set_relaxed(slot->node, in->nodeid);
	set_relaxed(slot->since_ns, now_ns());
	atomic_store_explicit(&slot->state, SLATE_RUNNING, memory_order_relaxed);
}

/* Idle first, so that share_waiting sees whoever waits for that. */
static void end_request(struct thread *t)
{
	struct slate_request *slot = *slot_of(t);

	slot->state = SLATE_IDLE;
	slate_clear(slot);
	t->request = NULL;
}

/* The worker before us has answered INIT for libfuse, but died before the kernel had it. */
static void answer_init_again(struct session *s, const struct fuse_in_header *in)
{
	struct fuse_out_header header = {.len = (uint32_t)(sizeof header + s->init.out_size),
					 .unique = in->unique};
	struct iovec iov[2] = {{&header, sizeof header}, {s->init.out, s->init.out_size}};

	if (writev(s->device, iov, 2) < 0)
		log_warning("cannot answer INIT: %s, ignoring", strerror(errno));
}

/* A forget has no answer. */
static void refuse(struct session *s, const struct fuse_in_header *in)
{
	struct fuse_out_header header = {
		.len = sizeof header, .error = -EIO, .unique = in->unique};

	if (in->opcode != FUSE_FORGET && write(s->device, &header, sizeof header) < 0)
		log_debug("an answer found no request: %s", strerror(errno));
}

static void process(struct thread *t, void *message, size_t size)
{
	struct session *s = t->session;
	struct fuse_buf buf = {.size = size, .mem = message};

	t->request = message;
	begin_request(t);
	if (t->request->opcode == FUSE_INIT && s->got_init)
		answer_init_again(s, t->request);
	else if (blame_any(s->fs->blames) && quarantine_refuses(s->fs, t->request, size))
		refuse(s, t->request);
	else
		fuse_session_process_buf(s->fuse, &buf);
	end_request(t);
}

static void run_ready(struct thread *t, struct io *io)
{
	struct slate_request *slot = *slot_of(t);

	set_relaxed(slot->since_ns, now_ns());
	set_relaxed(slot->node, 0); /* until the disk is known: blame nobody */
	atomic_store_explicit(&slot->state, SLATE_RUNNING, memory_order_relaxed);
	fs_run_io(t->session->fs, io);
	slot->state = SLATE_IDLE;
}

/* ---- a share of the threads -------------------------------------------------------------- */

static unsigned idle_threads(const struct session *s)
{
	return s->limit - s->started + s->parked + s->readers;
}

/* A quarter may be held by whoever holds it; nearly always more are idle. */
static bool few_idle(const struct session *s)
{
	return idle_threads(s) <= MAX(s->limit / 4, 1u);
}

static void serve_message(struct thread *t, size_t size)
{
	struct session *s = t->session;

	if (few_idle(s) &&
	    !share_enter(s->share, t->message, size, *slot_of(t), idle_threads(s)))
		return;
	process(t, t->message, size);
}

static void serve_waiting(struct thread *t)
{
	struct session *s = t->session;
	struct waiting *w;

	while (share_waiting(s->share) &&
	       (w = share_next(s->share, *slot_of(t), idle_threads(s) + 1))) {
		process(t, w->message, w->size);
		free(w);
	}
}

/* ---- threads ----------------------------------------------------------------------------- */

static void *thread_main(void *data);

static void *populated(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (mlock(p, size) < 0)
		log_debug("cannot lock a request buffer: %s", strerror(errno));
	return p;
}

static int prepare_thread(struct session *s, struct thread *t, unsigned index)
{
	t->session = s;
	t->index = index;
	if (!*slot_of(t))
		*slot_of(t) = slate_request_take(s->fs->slate);
	if (!t->message) /* there from a start that failed */
		t->message = populated(MESSAGE_SIZE);
	if (!t->scratch)
		t->scratch = populated(SESSION_BUFFER);
	return *slot_of(t) && t->message && t->scratch ? 0 : -ENOMEM;
}

/* Called with the lock held; fails silently: fewer threads serve as well. */
static void start_thread(struct session *s)
{
	struct thread *t = &s->threads[s->started];

	if (prepare_thread(s, t, s->started) < 0)
		return;
	t->running = true;
	if (pthread_create(&t->id, NULL, thread_main, t) == 0)
		s->started++;
	else
		t->running = false;
}

static void wake_one(struct session *s)
{
	if (s->parked)
		pthread_cond_signal(&s->wake);
	else if (s->started < s->limit && !s->stop)
		start_thread(s);
}

void session_ready(struct session *s, struct io *list)
{
	LOCKED(&s->lock);
	*s->ready_last = list;
	for (; list; list = list->next) {
		s->ready_last = &list->next;
		s->ready++;
		wake_one(s);
	}
}

static struct io *take_ready(struct session *s)
{
	struct io *io = s->ready_first;

	if (io) {
		s->ready--;
		s->ready_first = io->next;
		if (!s->ready_first)
			s->ready_last = &s->ready_first;
		io->next = NULL;
	}
	return io;
}

/* What the thread is to do next: a ready request, or read one (NULL). */
static struct io *next_work(struct session *s)
{
	struct io *io;

	if (!s->ready && s->readers < SPARE_READERS) { /* nearly always, and without the lock */
		s->readers++;
		return NULL;
	}
	LOCKED(&s->lock);
	while (!(io = take_ready(s)) && s->readers >= SPARE_READERS && !s->stop) {
		s->parked++;
		pthread_cond_wait(&s->wake, &s->lock);
		s->parked--;
	}
	if (!io)
		s->readers++;
	return io;
}

static void left_reading(struct session *s)
{
	if (--s->readers)
		return;
	LOCKED(&s->lock);
	if (!s->readers && !s->stop)
		wake_one(s);
}

static void end_session(struct session *s, int error)
{
	LOCKED(&s->lock);
	if (error && !s->error)
		s->error = error;
	s->stop = true;
	pthread_cond_broadcast(&s->wake);
	pthread_cond_broadcast(&s->ended);
}

/* Read one request; false when there will be none any more. */
static bool serve_one(struct thread *t)
{
	struct session *s = t->session;
	ssize_t n = read(s->device, t->message, MESSAGE_SIZE);
	int error = n < 0 ? errno : 0;

	left_reading(s);
	if (n >= (ssize_t)sizeof(struct fuse_in_header)) {
		serve_message(t, (size_t)n);
		return true;
	}
	if (error == EINTR || error == EAGAIN || error == ENOENT)
		return true; /* ENOENT: the request was interrupted before we saw it */
	end_session(s, error == ENODEV || error == ECONNABORTED ? 0 : -error);
	return false;
}

static void begin_thread(struct thread *t)
{
	self = t;
	(*slot_of(t))->thread = (int32_t)gettid();
	caller_init_thread();
	fault_thread_begin();
	LOCKED(&t->session->lock);
	t->stage = stage_mark_of_thread();
}

static void end_thread(struct thread *t)
{
	fault_thread_end();
	LOCKED(&t->session->lock);
	t->stage = NULL;
	t->running = false;
}

static void *thread_main(void *data)
{
	struct thread *t = data;
	struct session *s = t->session;
	struct io *io;

	begin_thread(t);
	/* Also at the end: a request that is ready holds its place in its disk's queue until it
	 * has run, and a last close waits for the places to be free. */
	for (;;) {
		io = next_work(s);
		if (io)
			run_ready(t, io);
		else if (s->stop || !serve_one(t))
			break;
		serve_waiting(t);
	}
	end_thread(t);
	return NULL;
}

bool session_look(struct session *s, unsigned index, struct session_view *ret)
{
	struct slate_request *slot;
	struct thread *t = &s->threads[index];

	LOCKED(&s->lock);
	slot = index < s->started ? s->slots[index] : NULL;
	if (!slot || !t->stage)
		return false;
	*ret = (struct session_view){
		.since_ns = slot->state == SLATE_RUNNING
				    ? __atomic_load_n(&slot->since_ns, __ATOMIC_RELAXED)
				    : 0,
		.node = __atomic_load_n(&slot->node, __ATOMIC_RELAXED),
		.opcode = __atomic_load_n(&slot->opcode, __ATOMIC_RELAXED),
		.thread = slot->thread,
		.stage = atomic_load_explicit(t->stage, memory_order_relaxed),
	};
	return true;
}

/* ---- life -------------------------------------------------------------------------------- */

/* Requests that a dead worker had read and not answered come again, before all others. */
static int ask_for_resend(struct session *s)
{
	struct fuse_out_header notify = {.len = sizeof notify, .error = WEIR_NOTIFY_RESEND};

	return write(s->device, &notify, sizeof notify) < 0 ? -errno : 0;
}

/* INIT as it was, but offering only what was agreed. */
static size_t recorded_init(const struct session *s, void *message)
{
	const struct weir_init_out *out = (const void *)s->init.out;
	struct fuse_in_header *in = message;
	struct fuse_init_in *init = (void *)(in + 1);

	memcpy(message, s->init.in, s->init.in_size);
	init->flags &= out->flags | FUSE_INIT_EXT;
	if (s->init.in_size >= sizeof *in + sizeof *init)
		init->flags2 &= out->flags2;
	return s->init.in_size;
}

static ssize_t read_init(struct session *s, void *message)
{
	ssize_t n;

	do {
		n = read(s->device, message, MESSAGE_SIZE);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int answer_init(struct session *s)
{
	struct thread *t = &s->threads[0];
	ssize_t n;

	self = t;
	s->replaying = slate_init_get(s->fs->slate, &s->init);
	if (s->fs->resumed && !s->replaying)
		ask_for_resend(s); /* the first worker may have died with it in hand */
	n = s->replaying ? (ssize_t)recorded_init(s, t->message) : read_init(s, t->message);
	if (n >= (ssize_t)sizeof(struct fuse_in_header))
		process(t, t->message, (size_t)n);
	self = NULL;
	s->replaying = false;
	if (n < 0)
		return (int)n;
	return s->got_init ? 0 : -EPROTO;
}

int session_new(struct fs *fs, int device, unsigned threads, struct session **ret)
{
	static const struct fuse_custom_io io = {.writev = device_writev, .read = device_read};
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_lowlevel_ops ops = fs_operations;
	struct session *s = calloc(1, sizeof *s);
	int r = -ENOMEM;

	if (!s)
		return -ENOMEM;
	fs->session = s;
	s->fs = fs;
	s->device = device;
	s->limit = MIN(MAX(threads, 2u), SLATE_THREADS);
	s->ready_last = &s->ready_first;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	pthread_cond_init(&s->ended, NULL);

	ops.init = init_wants;
	fuse_opt_add_arg(&args, "weir");
	s->fuse = fuse_session_new(&args, &ops, sizeof ops, fs);
	fuse_opt_free_args(&args);
	if (s->fuse)
		r = fuse_session_custom_io(s->fuse, &io, device);
	if (r == 0)
		r = share_new(s->slots, SLATE_THREADS, fs->options.disk_threads, &s->share);
	if (r == 0)
		r = prepare_thread(s, &s->threads[0], 0);
	if (r == 0)
		r = answer_init(s);
	if (r < 0) {
		session_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

/* ---- the next worker's ------------------------------------------------------------------- */

static void no_more(int signal_number)
{
}

/* A thread in read(2) comes back with EINTR, before it has taken a request. */
static void interrupt_reads(void)
{
	struct sigaction action = {.sa_handler = no_more};

	sigaction(SIGUSR2, &action, NULL);
}

static bool any_running(struct session *s)
{
	for (unsigned i = 0; i < s->started; i++)
		if (s->threads[i].running)
			return true;
	return false;
}

/* Once would miss a thread that is just about to read. */
static void call_threads_home(struct session *s)
{
	for (unsigned turn = 0; turn < HAND_OVER_MS && any_running(s); turn++) {
		for (unsigned i = 0; i < s->started; i++)
			if (s->threads[i].running)
				pthread_kill(s->threads[i].id, SIGUSR2);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
}

void session_hand_over(struct session *s)
{
	LOCKED(&s->lock);
	s->handing_over = true;
	s->stop = true;
	pthread_cond_broadcast(&s->wake);
	pthread_cond_broadcast(&s->ended);
}

int session_run(struct session *s)
{
	int r = 0;

	interrupt_reads();
	if (s->fs->resumed)
		r = ask_for_resend(s);
	if (r < 0)
		return r == -ENODEV ? 0 : r;
	s->started = 1;
	s->threads[0].running = true;
	if (pthread_create(&s->threads[0].id, NULL, thread_main, &s->threads[0]))
		return -EAGAIN;
	pthread_mutex_lock(&s->lock);
	while (!s->stop)
		pthread_cond_wait(&s->ended, &s->lock);
	pthread_mutex_unlock(&s->lock);
	if (s->handing_over) {
		call_threads_home(s);
		return SESSION_HANDED_OVER;
	}
	for (unsigned i = 0; i < s->started; i++)
		pthread_join(s->threads[i].id, NULL);
	return s->error;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < SLATE_THREADS; i++) {
		if (s->threads[i].message)
			munmap(s->threads[i].message, MESSAGE_SIZE);
		free(s->threads[i].spare);
		if (s->threads[i].scratch)
			munmap(s->threads[i].scratch, SESSION_BUFFER);
	}
	share_free(s->share);
	if (s->fuse)
		fuse_session_destroy(s->fuse); /* closes the device */
	else
		close(s->device);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->wake);
	pthread_cond_destroy(&s->ended);
	free(s);
}
