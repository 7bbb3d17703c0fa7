/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/*
 * Each store that a reader, or a writer after a crash, can see passes here or
 * through a system call that stands beside SEGMENT_STEP(). A test defines the
 * macro, includes the sources of this folder and ends the process at each step
 * in turn.
 */
#ifndef SEGMENT_STEP
#define SEGMENT_STEP() ((void)0)
#endif

/* Everything stored before is seen by whoever loads this value with acquire. */
static inline void word_store(uint32_t *word, uint32_t value)
{
	SEGMENT_STEP();
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* For words that are only compared: another value than before. */
static inline void word_move(uint32_t *word)
{
	word_store(word, __atomic_load_n(word, __ATOMIC_RELAXED) + 1);
}

/* Stores before it are seen before stores behind it; for wiping what a word
 * named until now. */
static inline void word_fence(void)
{
#if !defined(__SANITIZE_THREAD__)
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}
