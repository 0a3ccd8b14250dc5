/*
 * calls.c - a program for the metal machine: what a C library needs of a kernel beside memory. Condition
 * variables, cancellation, signals, timeouts, children, pipes, a file read and mapped at once, the stack's
 * growth and its limit, the floating-point registers. Exits with 0 when all of it was as on Linux.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition) ((condition) ? (void)0 : fail(__LINE__, #condition))

static _Noreturn void fail(int line, const char *condition)
{
	printf("calls.c:%d: %s (errno %d)\n", line, condition, errno);
	exit(1);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long turn;

static void *take_turns(void *argument)
{
	for (int i = 0; i < 100; i++) {
		pthread_mutex_lock(&lock);
		while (turn != (long)argument)
			pthread_cond_wait(&changed, &lock);
		turn = (turn + 1) % 4;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void conditions(void)
{
	pthread_t threads[4];

	for (long i = 0; i < 4; i++)
		CHECK(!pthread_create(&threads[i], NULL, take_turns, (void *)i));
	for (int i = 0; i < 4; i++)
		CHECK(!pthread_join(threads[i], NULL));
}

static int ends[2];

static void *sleep_on(void *argument)
{
	for (;;)
		sleep(1000);
	return argument;
}

static void *read_nothing(void *argument)
{
	char byte;

	CHECK(read(ends[0], &byte, 1) != 1);
	return argument;
}

static void cancellation(void)
{
	void *(*const ways[])(void *) = { sleep_on, read_nothing };

	CHECK(!pipe(ends));
	for (int i = 0; i < 2; i++) {
		pthread_t thread;
		void *result;

		CHECK(!pthread_create(&thread, NULL, ways[i], NULL));
		usleep(10000);
		CHECK(!pthread_cancel(thread) && !pthread_join(thread, &result) &&
		      result == PTHREAD_CANCELED);
	}
}

static volatile sig_atomic_t came;

static void on_signal(int signal)
{
	came = signal;
}

static void *wait_for_signal(void *argument)
{
	while (!came)
		usleep(1000);
	return argument;
}

static void signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	pthread_t thread;
	int status;

	CHECK(!sigaction(SIGUSR1, &action, NULL));
	CHECK(!pthread_create(&thread, NULL, wait_for_signal, NULL));
	CHECK(!pthread_kill(thread, SIGUSR1) && !pthread_join(thread, NULL) && came == SIGUSR1);
	pid_t child = fork();
	if (child == 0) {
		pause();
		_exit(1);
	}
	CHECK(!kill(child, SIGTERM) && waitpid(child, &status, 0) == child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static void timeouts(void)
{
	struct timespec until, before, after;
	struct pollfd poll_in = { ends[0], POLLIN, 0 };
	sem_t semaphore;

	sem_init(&semaphore, 0, 0);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec = (until.tv_nsec + 30000000) % 1000000000;
	until.tv_sec += until.tv_nsec < 30000000;
	CHECK(sem_timedwait(&semaphore, &until) < 0 && errno == ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &before);
	usleep(50000);
	clock_gettime(CLOCK_MONOTONIC, &after);
	CHECK((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec >= 50000000);
	CHECK(poll(&poll_in, 1, 30) == 0);
	CHECK(write(ends[1], "x", 1) == 1 && poll(&poll_in, 1, 1000) == 1 && poll_in.revents == POLLIN);
}

/* One that runs @body; its wait status. */
static int child_of(void (*body)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		body();
		_exit(0);
	}
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	return status;
}

static char *mapped;

static void read_past_end(void)
{
	volatile char byte = mapped[8000];

	(void)byte;
}

static void files(void)
{
	char text[8] = "";
	int fd = open("/tmp/calls.file", O_CREAT | O_RDWR | O_TRUNC, 0644);

	CHECK(fd >= 0 && !ftruncate(fd, 10000));
	mapped = mmap(NULL, 10000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(mapped != MAP_FAILED);
	strcpy(mapped + 5000, "mapped");
	CHECK(pread(fd, text, 7, 5000) == 7 && strcmp(text, "mapped") == 0);
	CHECK(pwrite(fd, "WRITE", 5, 100) == 5 && memcmp(mapped + 100, "WRITE", 5) == 0);
	CHECK(!ftruncate(fd, 100) && lseek(fd, 0, SEEK_END) == 100);
	int status = child_of(read_past_end);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	CHECK(!close(fd) && !unlink("/tmp/calls.file") && open("/tmp/calls.file", O_RDONLY) < 0 &&
	      errno == ENOENT);
}

static __attribute__((noinline)) void use_stack(size_t bytes)
{
	volatile char *stack = __builtin_alloca(bytes);

	for (size_t i = bytes; i > 4096; i -= 4096)
		stack[i - 1] = 1;
}

static void grow_stack(void)
{
	use_stack(7ul << 20);
}

static void grow_too_far(void)
{
	use_stack(9ul << 20);
}

static void stacks(void)
{
	int status = child_of(grow_too_far);

	CHECK(child_of(grow_stack) == 0);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void multiply(void)
{
	volatile double product = 1;

	for (int i = 0; i < 3000000; i++)
		product *= 1.000001;
	if (product < 20.08 || product > 20.09)
		_exit(1);
}

/* Two that compute at the same time, on one CPU or on two. */
static void floating_point(void)
{
	int status;
	pid_t child = fork();

	multiply();
	if (child == 0)
		_exit(0);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* In a child, so that who waits for ever is ended. */
static void wait_with_restart(long call)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct timespec long_time = { 60, 0 };
	struct pollfd nothing = { -1, 0, 0 };
	sigset_t none;
	pid_t me = getpid();

	sigemptyset(&none);
	sigaction(SIGUSR1, &action, NULL);
	if (fork() == 0) {
		usleep(30000);
		kill(me, SIGUSR1);
		sleep(2);
		kill(me, SIGKILL);
		_exit(0);
	}
	long result = call == 0	  ? pause()
		      : call == 1 ? nanosleep(&long_time, NULL)
		      : call == 2 ? sigsuspend(&none)
				  : poll(&nothing, 1, 60000);
	_exit(result != -1 || errno != EINTR);
}

static void restarts(void)
{
	for (long call = 0; call < 4; call++) {
		int status;
		pid_t child = fork();

		if (child == 0)
			wait_with_restart(call);
		CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
	}
}

static void *wait_on_word(void *word)
{
	syscall(SYS_futex, word, 0, 0, NULL, NULL, 0);
	return NULL;
}

/* A waiter that is moved to where it waits already. */
static void requeued(void)
{
	static int word;
	pthread_t thread;

	CHECK(!pthread_create(&thread, NULL, wait_on_word, &word));
	usleep(30000);
	CHECK(syscall(SYS_futex, &word, 3, 0, 0x7fffffffl, &word, 0) <= 1);
	CHECK(syscall(SYS_futex, &word, 4, 1, 0x7fffffffl, &word, 0) >= 1);
	CHECK(!pthread_join(thread, NULL));
}

static void vfork_and_stay(void)
{
	if (vfork() == 0)
		for (;;)
			pause();
}

/* Who waits for a vfork()ed child can be ended. */
static void ended_parent(void)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		setpgid(0, 0);
		vfork_and_stay();
		_exit(1);
	}
	usleep(50000);
	CHECK(!kill(child, SIGKILL) && waitpid(child, &status, 0) == child && status == SIGKILL);
	CHECK(!kill(-child, SIGKILL));
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static volatile int hits;

static void count_signal(int signal)
{
	(void)signal;
	__atomic_fetch_add(&hits, 1, __ATOMIC_RELAXED);
}

static void *wait_for_end(void *end)
{
	while (!*(volatile int *)end)
		usleep(1000);
	return NULL;
}

/* Threads and children are made in turn, and the group gets one signal. */
static void signal_own_group(void)
{
	static int end;
	pthread_t threads[4];

	setpgid(0, 0);
	signal(SIGUSR1, count_signal);
	for (int i = 0; i < 4; i++) {
		pthread_create(&threads[i], NULL, wait_for_end, &end);
		if (fork() == 0) {
			pause();
			_exit(0);
		}
	}
	kill(0, SIGUSR1);
	usleep(50000);
	end = 1;
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	_exit(hits);
}

static void groups(void)
{
	int status = child_of(signal_own_group);

	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

/* What Linux refuses; a clone() that is not refused would run on this stack. */
static void refused(void)
{
	static int word;
	struct iovec endless = { &word, (size_t)-1 };
	long flags[] = { 0x10000, 0x800, 0x10800 }; /* CLONE_THREAD, CLONE_SIGHAND, both; without CLONE_VM */

	for (int i = 0; i < 3; i++) {
		long result = syscall(SYS_clone, flags[i], 0, 0, 0, 0);
		if (result == 0)
			syscall(SYS_exit, 0);
		CHECK(result == -1 && errno == EINVAL);
	}
	CHECK(writev(ends[1], &endless, 1) < 0 && errno == EINVAL);
	CHECK(syscall(SYS_futex, &word, 10, 1, 0, 0, 0) < 0 && errno == EINVAL);
}

static void hang_ups(void)
{
	struct pollfd one;
	int pair[2];

	CHECK(!pipe(pair) && !close(pair[1]));
	one = (struct pollfd){ pair[0], 0, 0 };
	CHECK(poll(&one, 1, 0) == 1 && one.revents == POLLHUP && !close(pair[0]));
	CHECK(!pipe(pair) && !close(pair[0]));
	one = (struct pollfd){ pair[1], POLLOUT, 0 };
	CHECK(poll(&one, 1, 0) == 1 && (one.revents & POLLERR) && !close(pair[1]));
}

static void control_bits(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	unsigned set = 0x1fc0, now; /* denormals are zeroes */

	sigaction(SIGUSR1, &action, NULL);
	__asm__ volatile("ldmxcsr %0" : : "m"(set));
	raise(SIGUSR1);
	__asm__ volatile("stmxcsr %0" : "=m"(now));
	CHECK(now == set);
	set = 0x1f80;
	__asm__ volatile("ldmxcsr %0" : : "m"(set));
}

static void links(void)
{
	int fd;

	CHECK(!mkdir("/tmp/d", 0755) && !symlink("/tmp/d", "/tmp/l") && !symlink("l", "/tmp/m"));
	CHECK((fd = open("/tmp/m/file", O_CREAT | O_RDWR | O_EXCL, 0644)) >= 0 && !close(fd));
	CHECK(!mkdir("/tmp/l/e", 0755) && !rmdir("/tmp/d/e"));
	CHECK(mkdir("/tmp/d/..", 0755) < 0 && errno == EEXIST);
	CHECK(mkdir("/tmp/d/.", 0755) < 0 && errno == EEXIST);
	CHECK(rename("/tmp/d/file", "/tmp/d/..") < 0 && access("/tmp/d/file", F_OK) == 0);
	CHECK(rename("/tmp/d/file", "/tmp/d") < 0 && errno == EISDIR);
	CHECK(rename("/tmp/d", "/tmp/l") < 0 && errno == ENOTDIR);
	CHECK(open("/tmp/d/file/", O_RDONLY) < 0 && errno == ENOTDIR);
	CHECK(!unlink("/tmp/l/file") && !unlink("/tmp/l") && !unlink("/tmp/m") && !rmdir("/tmp/d"));
}

#define LONG_BYTES (512ul << 20)
#define FILE_BYTES (16ul << 20)

/* Much is read by one call, into the same pages over and over. */
static void read_long(void)
{
	int fd = open("/tmp/long", O_CREAT | O_RDWR, 0600), from = open("/dev/urandom", O_RDONLY);
	char *to = mmap(NULL, LONG_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (ftruncate(fd, FILE_BYTES) || unlink("/tmp/long"))
		_exit(1);
	for (size_t at = 0; at < LONG_BYTES; at += FILE_BYTES)
		if (mmap(to + at, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
		    MAP_FAILED)
			_exit(1);
	for (;;)
		if (read(from, to, LONG_BYTES) < 0)
			_exit(1);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A call that takes long keeps nobody else from running. */
static void long_calls(void)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		read_long();
	double last = seconds(), longest = 0;
	for (int i = 0; i < 20; i++) {
		usleep(10000);
		double now = seconds();
		longest = now - last > longest ? now - last : longest;
		last = now;
	}
	CHECK(!kill(child, SIGKILL) && waitpid(child, &status, 0) == child && status == SIGKILL);
	CHECK(longest < 1);
}

/* Calls that are not there; tests/cli/boot.sh looks whether they are told at the end. */
static void unknown_calls(void)
{
	static const long numbers[] = { 169, 169, 169, 511, 512, 100000, -1 };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		CHECK(syscall(numbers[i]) == -1 && errno == ENOSYS);
}

int main(void)
{
	unknown_calls();
	conditions();
	cancellation();
	signals();
	timeouts();
	files();
	stacks();
	floating_point();
	restarts();
	requeued();
	ended_parent();
	groups();
	refused();
	hang_ups();
	control_bits();
	links();
	long_calls();
	printf("all as on Linux\n");
	return 0;
}
