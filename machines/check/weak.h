/*
 * weak.h - between weak.c, the histories of stores, and weak_order.c, the order of seq_cst operations.
 */
#ifndef CHECK_WEAK_H
#define CHECK_WEAK_H

#include "memory_inside.h"

struct store {
	uint64_t value;
	uint32_t before, behind; /* in modification order, NONE */
	uint32_t position;
	uint32_t message;
	uint32_t number; /* among its thread's, from 1; 0: plain, hardware's, or what was there first */
	uint32_t step;	 /* in which it was made */
	uint8_t thread;
	bool is_rmw;	/* it read the one before */
	bool is_native; /* the value is in memory, if not yet here */
};

/* One that a thread made of a location, for floors and for the order of seq_cst. */
struct access {
	uint32_t next;	/* older */
	uint32_t store; /* made or read */
	uint32_t epoch;
	uint32_t fences; /* seq_cst ones that come before it: weak_order_fences() */
	uint32_t event;	 /* it is itself seq_cst, NONE */
	uint8_t thread;
	bool is_write;
	uint32_t times;	 /* it read the same, at the same place, since its thread's last store */
	uint64_t stores; /* of its thread, before */
	const void *code;
};

struct store *weak_store_at(uint32_t store);
struct access *weak_access_at(uint32_t access);

/* A point of a modification order: at a store (reading it), or behind it (storing there). */
static inline uint32_t weak_at(uint32_t store)
{
	return weak_store_at(store)->position * 2;
}

static inline uint32_t weak_behind(uint32_t store)
{
	return weak_at(store) + 1;
}

/* weak_order.c */
void weak_order_begin(void);
void weak_order_image(struct image *image);
void weak_order_destroy(void);
uint32_t weak_order_fences(unsigned thread); /* the set of fences that come before what it does next */
/* May the running thread access @place at @point with this order, as far as the order of seq_cst goes? */
bool weak_order_allows(const struct place *place, uint32_t point, int order);
void weak_order_commit(const struct place *place, uint32_t point, int order); /* it does */
uint32_t weak_order_event(int order); /* what commit() made of it, NONE */
void weak_order_fence(void);

#endif
