/*
 * commute.c - is the result of an atomic addition used?
 *
 * Two relaxed additions to one counter commute as far as the counter goes; whether somebody looks at what
 * they return is a matter of the code that follows the call. It is decoded once for each return address, from
 * there on:
 *
 *	rax is read			used
 *	rax is overwritten whole, or lost in a call	not used
 *	a jump				followed; both ways if conditional
 *	a return, or anything else		taken for used
 *
 * Reading any part of rax counts, overwriting only the whole (a write of eax clears the rest). A direct call
 * does not take an argument in rax; what a function with variable arguments expects in al is written right
 * before. A jump to __tsan_func_exit() is a call at the end of a function that returns nothing.
 *
 * Rules:   CHK-2: what does not commute is never said to.
 */
#include "memory_inside.h"

#include <Zydis/Zydis.h>
#include <stdlib.h>

enum { FAR_ENOUGH = 200, DEEP_ENOUGH = 8 };

void __tsan_func_exit(void);

struct known {
	const void *code;
	bool used;
};

static struct {
	struct known *known; /* hash table, by code */
	uint32_t mask, count;
} cache;

static bool is_rax(ZydisRegister reg)
{
	return ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg) == ZYDIS_REGISTER_RAX;
}

static bool reads_rax(const ZydisDecodedInstruction *instruction, const ZydisDecodedOperand *operand)
{
	/* xor eax, eax reads nothing, whatever it says. */
	bool clears = (instruction->mnemonic == ZYDIS_MNEMONIC_XOR ||
		       instruction->mnemonic == ZYDIS_MNEMONIC_SUB) &&
		      operand[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		      operand[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		      operand[0].reg.value == operand[1].reg.value;

	for (unsigned i = 0; i < instruction->operand_count; i++) {
		const ZydisDecodedOperand *at = &operand[i];

		if (at->type == ZYDIS_OPERAND_TYPE_REGISTER && !clears && is_rax(at->reg.value) &&
		    (at->actions & ZYDIS_OPERAND_ACTION_MASK_READ))
			return true;
		if (at->type == ZYDIS_OPERAND_TYPE_MEMORY && (is_rax(at->mem.base) || is_rax(at->mem.index)))
			return true;
	}
	return false;
}

static bool overwrites_rax(const ZydisDecodedInstruction *instruction, const ZydisDecodedOperand *operand)
{
	for (unsigned i = 0; i < instruction->operand_count; i++) {
		const ZydisDecodedOperand *at = &operand[i];

		if (at->type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    (at->reg.value == ZYDIS_REGISTER_RAX || at->reg.value == ZYDIS_REGISTER_EAX) &&
		    (at->actions & ZYDIS_OPERAND_ACTION_WRITE))
			return true;
	}
	return false;
}

static bool target_of(const ZydisDecodedInstruction *instruction, const ZydisDecodedOperand *operand,
		      uintptr_t code, uintptr_t *target)
{
	ZyanU64 address;

	if (operand[0].type != ZYDIS_OPERAND_TYPE_IMMEDIATE ||
	    ZYAN_FAILED(ZydisCalcAbsoluteAddress(instruction, &operand[0], code, &address)))
		return false;
	*target = address;
	return true;
}

static bool is_used_from(const ZydisDecoder *decoder, uintptr_t code, unsigned *budget, unsigned depth)
{
	ZydisDecodedOperand operand[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction instruction;

	while ((*budget)--) {
		/* 15 bytes are the longest; behind the last function of a program there is something too. */
		if (ZYAN_FAILED(
			    ZydisDecoderDecodeFull(decoder, (const void *)code, 15, &instruction, operand)))
			return true;
		uintptr_t target = 0;
		if (instruction.meta.category == ZYDIS_CATEGORY_CALL)
			return reads_rax(&instruction, operand);
		if (reads_rax(&instruction, operand))
			return true;
		if (overwrites_rax(&instruction, operand))
			return false;
		switch (instruction.meta.category) {
		case ZYDIS_CATEGORY_UNCOND_BR:
			if (!target_of(&instruction, operand, code, &target))
				return true;
			if (target == (uintptr_t)__tsan_func_exit)
				return false;
			code = target;
			continue;
		case ZYDIS_CATEGORY_COND_BR:
			if (depth == DEEP_ENOUGH || !target_of(&instruction, operand, code, &target) ||
			    is_used_from(decoder, target, budget, depth + 1))
				return true;
			break;
		case ZYDIS_CATEGORY_RET:
		case ZYDIS_CATEGORY_SYSCALL:
		case ZYDIS_CATEGORY_INTERRUPT:
			return true;
		default:
			break;
		}
		code += instruction.length;
	}
	return true;
}

static bool look(const void *code)
{
	ZydisDecoder decoder;
	unsigned budget = FAR_ENOUGH;

	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	return is_used_from(&decoder, (uintptr_t)code, &budget, 0);
}

static struct known *find(const void *code)
{
	uint32_t slot = (uint32_t)((uintptr_t)code * 0x9e3779b97f4a7c15ul >> 40) & cache.mask;

	while (cache.known[slot].code && cache.known[slot].code != code)
		slot = (slot + 1) & cache.mask;
	return &cache.known[slot];
}

static void make_room(void)
{
	struct known *old = cache.known;
	uint32_t size = old ? cache.mask + 1 : 0;

	if (cache.count * 2 < size)
		return;
	cache.mask = size ? size * 2 - 1 : 255;
	cache.known = calloc(cache.mask + 1ul, sizeof(*cache.known));
	if (!cache.known)
		exit(3);
	for (uint32_t i = 0; i < size; i++)
		if (old[i].code)
			*find(old[i].code) = old[i];
	free(old);
}

bool commute_is_used(const void *code)
{
	make_room();
	struct known *known = find(code);
	if (!known->code) {
		*known = (struct known){ code, look(code) };
		cache.count++;
	}
	return known->used;
}
