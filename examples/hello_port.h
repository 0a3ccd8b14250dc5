/*
 * hello_port.h - what the example's port offers beside <quire/port.h>.
 */
#ifndef HELLO_PORT_H
#define HELLO_PORT_H

struct quire_cpu;

/* Call it now and then, inside no call of Quire's: what waited for a grace period is freed. */
void hello_port_rest(struct quire_cpu *cpu);

#endif
