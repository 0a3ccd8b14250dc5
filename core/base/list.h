/*
 * list.h - circular doubly linked lists, the links inside the listed.
 */
#ifndef QUIRE_BASE_LIST_H
#define QUIRE_BASE_LIST_H

#include <quire/types.h>

struct list {
	struct list *next, *prev;
};

#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

static inline void list_init(struct list *head)
{
	head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline bool list_is_single(const struct list *head)
{
	return head->next != head && head->next == head->prev;
}

static inline void list_add(struct list *head, struct list *entry)
{
	entry->next = head->next;
	entry->prev = head;
	head->next->prev = entry;
	head->next = entry;
}

static inline void list_add_tail(struct list *head, struct list *entry)
{
	list_add(head->prev, entry);
}

static inline void list_remove(struct list *entry)
{
	entry->next->prev = entry->prev;
	entry->prev->next = entry->next;
	entry->next = entry->prev = entry;
}

#define list_for_each(at, head) for (struct list *at = (head)->next; at != (head); at = at->next)
#define list_for_each_safe(at, after, head) \
	for (struct list *at = (head)->next, *after = at->next; at != (head); at = after, after = at->next)

#endif
