/*
 * console.c - the serial line, formatted printing, and the report to who started the machine.
 *
 * Two ways out: the console, COM1, is the program's, and what the kernel has to say to a reader; the report,
 * port 0xe9, is lines for `quire boot`: the exit status above all (docs/metal.md).
 *
 * What was typed is taken in by interrupts, and at every tick of the first CPU, if there was no room before.
 * A line is handed out when it is complete; ^D ends the input: as on a terminal, or for good when it is
 * none.
 *
 * Order:   the output lock and the input lock are leaves.
 */
#include "metal.h"

#include "task.h"
#include "x86.h"

#define COM1 0x3f8
#define REPORT_PORT 0xe9

static struct quire_spin output_lock, input_lock;
static _Atomic bool broken; /* the machine stops: whoever has something to say says it */

void console_start(void)
{
	out8(COM1 + 1, 0);
	out8(COM1 + 3, 0x80);
	out8(COM1, 1); /* 115200 baud */
	out8(COM1 + 1, 0);
	out8(COM1 + 3, 3); /* 8N1 */
	out8(COM1 + 2, 7); /* FIFO */
}

void console_listen(void)
{
	apic_route(4, VECTOR_SERIAL);
	out8(COM1 + 4, 8); /* lets interrupts through */
	out8(COM1 + 1, 1); /* for every byte that comes */
}

void console_break_lock(void)
{
	atomic_store_explicit(&broken, true, memory_order_relaxed);
}

/* Who reads the console may take his time; the watchdog is to know that this is no hang. */
static void wait_for_reader(void)
{
	struct metal_cpu *me = metal_cpu_count ? this_cpu() : NULL;

	pause_cpu();
	if (!me)
		return;
	ipi_serve(me);
	me->spin_since = 0;
	atomic_store_explicit(&me->ticked, time_monotonic(), memory_order_relaxed);
}

static void put(char byte)
{
	while (!(in8(COM1 + 5) & 0x20))
		wait_for_reader();
	out8(COM1, (uint8_t)byte);
}

static bool output_begin(void)
{
	if (atomic_load_explicit(&broken, memory_order_relaxed))
		return false;
	while (!spin_trylock(&output_lock))
		wait_for_reader();
	return true;
}

void console_write(const char *text, size_t bytes)
{
	bool locked = output_begin();

	for (size_t i = 0; i < bytes; i++)
		put(text[i]);
	if (locked)
		spin_unlock(&output_lock);
}

/* ---- formatting ------------------------------------------------------------------------------------ */

struct text {
	char *to;
	size_t room, length;
};

static void add(struct text *text, char byte)
{
	if (text->length + 1 < text->room)
		text->to[text->length++] = byte;
}

static void add_number(struct text *text, uint64_t number, unsigned base, unsigned width, char fill)
{
	char digits[20];
	unsigned count = 0;

	do {
		digits[count++] = "0123456789abcdef"[number % base];
		number /= base;
	} while (number);
	for (; width > count; width--)
		add(text, fill);
	while (count)
		add(text, digits[--count]);
}

static void add_string(struct text *text, const char *string, unsigned width, unsigned most)
{
	unsigned length = 0;

	for (; length < most && string[length]; length++)
		add(text, string[length]);
	for (; width > length; width--)
		add(text, ' ');
}

static unsigned read_number(const char **format)
{
	unsigned number = 0;

	for (; **format >= '0' && **format <= '9'; ++*format)
		number = number * 10 + (unsigned)(**format - '0');
	return number;
}

/* What follows a %: how a number or a string is laid out. */
struct layout {
	unsigned width, most, longs;
	char fill;
};

static const char *read_layout(struct layout *layout, const char *format, int star)
{
	*layout = (struct layout){ .most = ~0u, .fill = ' ' };
	if (*format == '#')
		format++;
	if (*format == '0')
		layout->fill = '0';
	layout->width = read_number(&format);
	if (*format == '.') {
		format++;
		layout->most = *format == '*' ? (unsigned)star : read_number(&format);
		format += *format == '*';
	}
	for (; *format == 'l'; format++)
		layout->longs++;
	return format;
}

size_t format_text(char *to, size_t room, const char *format, va_list args)
{
	struct text text = { to, room, 0 };
	struct layout l;

	for (; *format; format++) {
		if (*format != '%') {
			add(&text, *format);
			continue;
		}
		bool star = format[1] == '.' && format[2] == '*';
		format = read_layout(&l, format + 1, star ? va_arg(args, int) : 0);
		if (*format == 's') {
			add_string(&text, va_arg(args, const char *), l.width, l.most);
		} else if (*format == 'c') {
			add(&text, (char)va_arg(args, int));
		} else if (*format == 'd') {
			int64_t number = l.longs ? va_arg(args, int64_t) : va_arg(args, int);

			if (number < 0)
				add(&text, '-');
			add_number(&text, number < 0 ? -(uint64_t)number : (uint64_t)number, 10, l.width,
				   l.fill);
		} else if (*format == 'p') {
			add_number(&text, (uintptr_t)va_arg(args, void *), 16, 16, '0');
		} else if (*format == 'u' || *format == 'x') {
			uint64_t number = l.longs ? va_arg(args, uint64_t) : va_arg(args, unsigned);

			add_number(&text, number, *format == 'u' ? 10 : 16, l.width, l.fill);
		} else {
			add(&text, *format);
		}
	}
	if (room)
		to[text.length] = '\0';
	return text.length;
}

void kprintf(const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	size_t length = format_text(text, sizeof(text), format, args);
	va_end(args);
	console_write(text, length);
}

void report(const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	size_t length = format_text(text, sizeof(text), format, args);
	va_end(args);
	bool locked = output_begin();
	for (size_t i = 0; i < length; i++)
		out8(REPORT_PORT, (uint8_t)text[i]);
	if (locked)
		spin_unlock(&output_lock);
}

/* ---- input ----------------------------------------------------------------------------------------- */

#define INPUT_BYTES 4096 /* a power of two */
#define MODE_LINES 0x2u	 /* of struct termios's c_lflag: ICANON, ECHO */
#define MODE_ECHO 0x8u
#define END_OF_INPUT 4 /* ^D */

/* All under input_lock but the event. */
static char input[INPUT_BYTES];
static uint32_t input_first, input_line, input_last; /* handed out, complete, typed: up to here */
static bool by_hand, input_ended;
static uint32_t modes[9] = { 0x500, 5, 0xbf, 0x8a31 | MODE_LINES }; /* struct termios of a cooked terminal */
static _Atomic uint32_t input_event;				    /* moves when a line is complete */

void console_typed_by_hand(void)
{
	by_hand = true;
	modes[3] |= MODE_ECHO;
}

void console_modes(void *get, const void *set)
{
	spin_lock(&input_lock);
	if (get)
		memcpy(get, modes, sizeof(modes));
	if (set) {
		memcpy(modes, set, sizeof(modes));
		input_line = input_last; /* what was typed so far is no line to be edited any more */
	}
	spin_unlock(&input_lock);
}

/* One that is edited by who reads is handed out as it is typed. */
static void take_in(char byte)
{
	bool lines = modes[3] & MODE_LINES, echo = modes[3] & MODE_ECHO;

	if (byte == '\r' && by_hand)
		byte = '\n';
	if (lines && by_hand && (byte == 0x7f || byte == '\b')) {
		if (input_last != input_line) {
			input_last--;
			console_write("\b \b", echo ? 3 : 0);
		}
		return;
	}
	if (input_last - input_first == INPUT_BYTES)
		return;
	input[input_last++ % INPUT_BYTES] = byte;
	if (echo && !(lines && byte == END_OF_INPUT))
		console_write(&byte, 1);
	if (!lines || byte == '\n' || byte == END_OF_INPUT || input_last - input_first == INPUT_BYTES)
		input_line = input_last;
}

void console_poll(void)
{
	bool complete = false;

	/* Left in the device when there is no room here: who sends then waits. */
	spin_lock(&input_lock);
	while (input_last - input_first < INPUT_BYTES && (in8(COM1 + 5) & 1)) {
		take_in((char)in8(COM1));
		complete |= input_line != input_first;
	}
	spin_unlock(&input_lock);
	if (complete) {
		atomic_fetch_add_explicit(&input_event, 1, memory_order_release);
		waits_wake(&input_event, ~0u);
	}
}

bool console_has_input(void)
{
	spin_lock(&input_lock);
	bool has = input_line != input_first || input_ended;
	spin_unlock(&input_lock);
	return has;
}

int64_t console_read(char *to, size_t bytes)
{
	for (;;) {
		uint32_t seen = atomic_load_explicit(&input_event, memory_order_acquire);
		size_t done = 0;

		spin_lock(&input_lock);
		bool end = input_ended;
		while (done < bytes && input_first != input_line && !end) {
			char byte = input[input_first % INPUT_BYTES];

			/* An end after part of a line hands that out, and is an end only at the next look. */
			bool special = byte == END_OF_INPUT && (modes[3] & MODE_LINES);
			if (special && done)
				break;
			input_first++;
			end = special;
			input_ended = end && !by_hand;
			if (!end)
				to[done++] = byte;
			if (byte == '\n')
				break;
		}
		spin_unlock(&input_lock);
		if (done || end || !bytes)
			return (int64_t)done;
		if (task_has_signal())
			return -QUIRE_EINTR;
		task_wait(&input_event, seen, 0);
	}
}
