/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The segment's protocol (docs/segment.md) for spin: one writer that publishes,
 * removes, rebuilds, wipes and is killed between any two stores, and one reader
 * that holds a certificate as an nginx worker does. run.py checks it, and that
 * each order that is taken away (-DM_...) makes it fail.
 *
 * What is shown, for every interleaving within the bounds below:
 *   - a look-up gives a whole record of its name that was published
 *   - it is not older than what was published when the look-up began
 *   - it never says "damaged", and "absent" only if nothing was published
 *   - it ends: with "again" if the writer was faster, TRIES times
 *   - when all is still, a reader that has seen the epoch holds what is
 *     published, also if the writer was killed and another took over
 *
 * Grace times are left out: whatever was superseded may be wiped at once, so
 * that nothing rests on readers being fast. Steps are single loads and stores,
 * a record being written and read in two halves. Spin is sequentially
 * consistent; an acquire or release that is missing is modelled by what it
 * allows: the accesses on its two sides change places.
 *
 * The file has two places for a space of two slots; each has room for three
 * records. The name that is looked up has the record ids 1, 2, ...; another,
 * OTHER, shares its home slot.
 */
#ifndef OPS
#define OPS 5 /* what the writer does, one after another */
#endif
#ifndef TRIES
#define TRIES 2 /* ACME_SEGMENT_TRIES */
#endif
#ifndef LOOKS
#define LOOKS 2 /* handshakes */
#endif

#if defined(M_ACQUIRE_ROOT) || defined(M_ACQUIRE_SLOT) || defined(M_FENCE_SLOT) || \
	defined(M_FENCE_ROOT)
#define EARLY
#endif

#define CELLS 3
#define OTHER 100

#define EMPTY 0 /* ACME_SEGMENT_EMPTY */
#define DEAD  1 /* ACME_SEGMENT_DEAD */
#define CELL  2 /* at: CELL + number of the record's place */

/* ---- the file ------------------------------------------------------------ */

byte magic, layout;           /* struct acme_segment_header */
byte root, switches, epoch;   /* root: 0 none, 1 and 2 the places */
byte head[2];                 /* struct acme_segment_space is there */
byte tag[4], at[4];           /* two struct acme_segment_slot for each place */
byte half1[6], half2[6];      /* the records */

/* ---- what nobody sees: the truth ----------------------------------------- */

byte visible;      /* the newest id that a slot has named: published */
bool writer_done;

/* ---- the writer ---------------------------------------------------------- */

/* Between any two stores the writer may be killed. */
#define STEP if :: !killed -> killed = true; goto restart :: true fi

#define NAME_OF(id)  ((id) < OTHER -> 1 : 2)
#define SLOT(p, i)   (2 * (p) + (i))
#define LIVE(s)      (at[s] > DEAD)
#define HOLDS(s, id) (LIVE(s) && half1[at[s] - CELL] != 0 && \
		      NAME_OF(half1[at[s] - CELL]) == NAME_OF(id))

/* space.c: find_place. The slot of the name, else the first that it may have;
 * 255: none. */
inline find_place(id, slot)
{
	d_step {
		if
		:: HOLDS(SLOT(place, 0), id) -> slot = SLOT(place, 0)
		:: else ->
			if
			:: at[SLOT(place, 0)] != EMPTY &&
			   HOLDS(SLOT(place, 1), id) -> slot = SLOT(place, 1)
			:: else ->
				if
				:: !LIVE(SLOT(place, 0)) -> slot = SLOT(place, 0)
				:: LIVE(SLOT(place, 0)) && !LIVE(SLOT(place, 1)) ->
					slot = SLOT(place, 1)
				:: else -> slot = 255
				fi
			fi
		fi
	}
}

/* The store that publishes: word_store(&slot->at, ...) in space_set. */
inline store_at(slot, cell, id)
{
	d_step {
		at[slot] = CELL + cell;
		if
		:: id < OTHER -> visible = id
		:: else
		fi
	}
}

/* room.c: room_write of a record, called by space_append. */
inline write_record(cell, id)
{
	half1[cell] = id;
	STEP;
	half2[cell] = id;
	STEP
}

/* segment.c: publish(). */
inline publish(id)
{
	find_place(id, slot);
	if
	:: slot == 255 || next == CELLS
	:: else ->
		cell = CELLS * place + next;
		next++;
		old = (LIVE(slot) -> at[slot] - CELL : 255);
#ifdef M_OVERWRITE /* "nothing that was published is ever overwritten" */
		if
		:: old != 255 -> cell = old; old = 255
		:: else
		fi;
#endif
#ifdef M_ANNOUNCE_EARLY /* segment_announce before store_slots */
		epoch++;
		STEP;
#endif
#ifndef M_RELEASE_AT /* space_append, then space_set with release */
		write_record(cell, id);
#endif
#ifdef M_WIPE_EARLY /* discard() of what the slot still names */
		if
		:: old != 255 -> half1[old] = 0; half2[old] = 0
		:: else
		fi;
#endif
#ifndef M_TAG_LATE /* word_store(&slot->tag, ...) in space_set */
		if
		:: !LIVE(slot) -> tag[slot] = NAME_OF(id); STEP
		:: else
		fi;
#endif
		store_at(slot, cell, id);
		STEP;
#ifdef M_RELEASE_AT
		write_record(cell, id);
#endif
#ifndef M_ANNOUNCE_EARLY
		epoch++; /* segment_announce: word_move(&header->epoch) */
#endif
#ifdef M_TAG_LATE
		STEP;
		tag[slot] = NAME_OF(id);
#endif
		if
		:: old != 255 -> trash[old] = true /* discard(): no store */
		:: else
		fi
	fi;
	slot = 0; cell = 0; old = 0
}

/* space.c: space_drop of OTHER. */
inline drop()
{
	find_place(OTHER, slot);
	if
	:: slot != 255 && HOLDS(slot, OTHER) ->
		old = at[slot] - CELL;
#ifdef M_DROP_EMPTY /* a search must go on over it */
		at[slot] = EMPTY;
#else
		at[slot] = DEAD;
#endif
		STEP;
		epoch++;
		trash[old] = true
	:: else
	fi;
	slot = 0; old = 0
}

/* space.c: space_collect, with no grace time. */
inline wipe_trash()
{
	cell = 0;
	do
	:: cell == 2 * CELLS -> break
	:: else ->
		if
		:: trash[cell] ->
			d_step { half1[cell] = 0; half2[cell] = 0; trash[cell] = false }
			STEP
		:: else
		fi;
		cell++
	od;
	cell = 0
}

/* room.c: room_collect wipes the extents of a space that was replaced, or of
 * one that a writer before us had not finished. */
inline wipe_place(p)
{
	cell = CELLS * (p);
	do
	:: cell == CELLS * (p) + CELLS -> break
	:: else ->
		d_step { half1[cell] = 0; half2[cell] = 0; trash[cell] = false; cell++ }
	od;
	cell = 0;
	d_step { at[SLOT(p, 0)] = EMPTY; tag[SLOT(p, 0)] = 0 }
	STEP;
	d_step { at[SLOT(p, 1)] = EMPTY; tag[SLOT(p, 1)] = 0 }
	head[p] = 0
}

#define USED(p) (head[p] || at[SLOT(p, 0)] || at[SLOT(p, 1)] || \
		 half1[CELLS * (p)] || half1[CELLS * (p) + 1] || half1[CELLS * (p) + 2])

/* rebuild.c: carry_record of what slot `from` names into slot `to`. Nobody
 * looks there: one step, so that the model stays small. */
inline carry(from, to, cell)
{
	d_step {
		half1[cell] = half1[at[from] - CELL];
		half2[cell] = half2[at[from] - CELL];
		tag[to] = tag[from];
		at[to] = CELL + cell
	}
}

inline fill(p)
{
	head[p] = 1; /* space.c: fill_head */
	STEP;
	slot = 0;
	if
	:: LIVE(SLOT(place, 0)) ->
		carry(SLOT(place, 0), SLOT(p, 0), CELLS * (p)); slot = 1; STEP
	:: else
	fi;
	if
	:: LIVE(SLOT(place, 1)) ->
		carry(SLOT(place, 1), SLOT(p, slot), CELLS * (p) + slot); slot++; STEP
	:: else
	fi;
	fresh = slot;
	slot = 0
}

/* rebuild.c: segment_grow, segment_switch. The other place is free. */
inline rebuild()
{
#ifndef M_RELEASE_ROOT /* carry_run and space_flush before the store of root */
	fill(1 - place);
#endif
#ifdef M_WIPE_PLACE_EARLY
	wipe_place(place);
#endif
	root = 1 - place + 1; /* word_store(&header->root, ...) */
	STEP;
#ifdef M_RELEASE_ROOT
	fill(1 - place);
#endif
#if !defined(M_NO_SWITCHES) && !defined(M_SWITCHES_LATE)
	switches++; /* word_move(&header->switches) */
	STEP;
#endif
	epoch++;
	place = 1 - place; /* space_retire(s->active): in memory */
	next = fresh;
	fresh = 0
}

/* room_collect, when there is something old. */
inline wipe_old()
{
	wipe_place(1 - place);
#ifdef M_SWITCHES_LATE /* after the wiping instead of before it */
	STEP;
	switches++
#endif
}

#define HAS_OTHER (HOLDS(SLOT(place, 0), OTHER) || HOLDS(SLOT(place, 1), OTHER))
#define ANY_TRASH (trash[0] || trash[1] || trash[2] || trash[3] || trash[4] || trash[5])

active proctype writer()
{
	byte place, next;  /* struct space: where, and the first free cell */
	bool trash[6];     /* struct trash */
	byte ids;          /* the newest id that was given out */
	bool killed;       /* happens once */
	byte slot, cell, old, fresh, done;

	/* open.c: make_segment */
#ifdef M_MAGIC_EARLY
	magic = 1;
#endif
	head[0] = 1;
	layout = 1;
	root = 1;
	switches++;
	epoch++;
#ifndef M_MAGIC_EARLY
	magic = 1; /* word_store(&header->magic, ...) */
#endif
work:
	do
	:: done == OPS -> break
	:: done < OPS ->
		done++;
		if
		:: ids < 3 -> ids++; publish(ids)
		:: !HAS_OTHER -> publish(OTHER)
		:: HAS_OTHER -> drop()
		:: ANY_TRASH -> wipe_trash()
		:: !USED(1 - place) -> rebuild()
		:: USED(1 - place) -> wipe_old()
		fi
	od;
	goto end;
restart:
	/* open.c: keep_segment; space.c: space_load. All is derived from root:
	 * what no slot names is trash, the other place is old. */
	place = root - 1;
	next = CELLS; /* appends go to a new extent: here, after a rebuild */
	fresh = 0;
	slot = 0;
	old = 0;
	cell = 0;
	d_step {
	do
	:: cell == CELLS -> break
	:: else ->
		trash[CELLS * place + cell] =
		    (half1[CELLS * place + cell] || half2[CELLS * place + cell]) &&
		    at[SLOT(place, 0)] != CELL + CELLS * place + cell &&
		    at[SLOT(place, 1)] != CELL + CELLS * place + cell;
		trash[CELLS * (1 - place) + cell] = false;
		cell++
	od;
	cell = 0
	}
#ifndef M_KEEP_SWITCHES
	switches++;
#endif
#ifndef M_KEEP_EPOCH
	epoch++;
#endif
	goto work;
end:
	writer_done = true
}

/* ---- the reader: include/acme/segment.h ----------------------------------- */

#define COPY2(to, from) to[0] = from[0]; to[1] = from[1]
#define COPY4(to, from) COPY2(to, from); to[2] = from[2]; to[3] = from[3]
#define COPY6(to, from) COPY4(to, from); to[4] = from[4]; to[5] = from[5]

#ifdef M_ACQUIRE_ROOT
#define READ_HEAD(p) early_head[p]
#define READ_TAG(s)  early_tag[s]
#define READ_AT(s)   early_at[s]
#else
#define READ_HEAD(p) head[p]
#define READ_TAG(s)  tag[s]
#define READ_AT(s)   at[s]
#endif
#ifdef M_ACQUIRE_SLOT
#define READ_1(c) early1[c]
#define READ_2(c) early2[c]
#else
#define READ_1(c) half1[c]
#define READ_2(c) half2[c]
#endif

/* acme_segment__try: the record, then the slot once more. */
inline try(s, a)
{
#ifdef M_FENCE_SLOT /* the fence in acme_segment__same */
	early_slot = at[s];
#endif
	one = READ_1(a - CELL);
	two = READ_2(a - CELL);
	if
#ifdef M_NO_RECHECK_SLOT
	:: false
#elif defined(M_FENCE_SLOT)
	:: early_slot != a -> result = AGAIN
#else
	:: at[s] != a -> result = AGAIN
#endif
	:: else ->
		if
		:: one == 0 || one != two -> result = DAMAGED /* crc */
		:: one == two && one >= OTHER /* another's name: go on */
		:: else -> result = FOUND
		fi
	fi;
	two = 0
}

/* acme_segment__probe: one pread for all slots, in any order. */
inline probe(p)
{
	result = NONE;
	if
	:: READ_HEAD(p) == 0 -> result = DAMAGED /* acme_segment__space */
	:: else
	fi;
#ifdef M_ACQUIRE_SLOT
	d_step { COPY6(early1, half1); COPY6(early2, half2) }
#endif
	i = 0;
	do
	:: result != NONE -> break
	:: result == NONE && i == 2 -> result = ABSENT
	:: result == NONE && i < 2 ->
		if
		:: a = READ_AT(SLOT(p, i)); t = READ_TAG(SLOT(p, i))
		:: t = READ_TAG(SLOT(p, i)); a = READ_AT(SLOT(p, i))
		fi;
		if
		:: a == EMPTY -> result = ABSENT
		:: a == DEAD || (a > DEAD && t != 1)
		:: a > DEAD && t == 1 -> try(SLOT(p, i), a)
		fi;
		i++
	od;
	i = 0; a = 0; t = 0
}

/* acme_segment__stayed */
#if defined(M_NO_RECHECK) || (defined(M_NO_RECHECK_ROOT) && defined(M_NO_RECHECK_SWITCHES))
#define STAYED true
#elif defined(M_FENCE_ROOT) /* the fence in acme_segment__stayed */
#define STAYED (early_root == r && early_switches == s)
#elif defined(M_NO_RECHECK_ROOT)
#define STAYED (switches == s)
#elif defined(M_NO_RECHECK_SWITCHES)
#define STAYED (root == r)
#else
#define STAYED (root_now == r && switches == s)
#endif

/* acme_segment_find */
inline find()
{
	d_step { low = visible; tries = 0; result = AGAIN }
	do
	:: result != AGAIN || tries == TRIES -> break
	:: result == AGAIN && tries < TRIES ->
		tries++;
#ifdef M_ACQUIRE_SWITCHES /* switches before root */
		r = root;
		s = switches;
#else
		s = switches;
#ifdef M_ACQUIRE_ROOT
		d_step { COPY2(early_head, head); COPY4(early_tag, tag); COPY4(early_at, at) }
#endif
		r = root;
#endif
#ifdef M_FENCE_ROOT
		early_root = root;
		early_switches = switches;
#endif
		probe(r - 1);
		root_now = root;
		if
		:: STAYED
		:: else -> result = AGAIN
		fi;
		root_now = 0
	od;
	r = 0; s = 0; tries = 0
}

mtype = { NONE, FOUND, ABSENT, AGAIN, DAMAGED };

/* ngx_http_acme_bridge_cert_slow, _look: what a worker holds. */
active proctype reader()
{
	mtype result = NONE;
	byte held, seen;
	bool looked;
#ifdef EARLY /* what was read too early, where an order is missing */
	byte early_head[2], early_tag[4], early_at[4], early1[6], early2[6];
	byte early_root, early_switches, early_slot;
#endif
	byte e, r, s, root_now, i, a, t, one, two, low, tries, looks;

	do /* acme_segment_attach: "not ready" until the magic is there */
	:: magic == 1 -> break
	:: else -> magic == 1
	od;
	assert(layout == 1); /* else "foreign" */
	do
	:: looks == LOOKS -> break
	:: looks < LOOKS ->
		looks++;
#ifndef M_ACQUIRE_EPOCH
		e = epoch;
#endif
		find();
#ifdef M_ACQUIRE_EPOCH
		e = epoch;
#endif
		assert(result != DAMAGED);
		if
		:: result == FOUND ->
			assert(one <= visible); /* was published */
			assert(one >= low);     /* is not older than that */
			held = one; seen = e; looked = true
		:: result == ABSENT ->
			assert(low == 0);
			held = 0; seen = e; looked = true
		:: else /* again: keeps what it has */
		fi;
		one = 0; low = 0; result = NONE
	od;
	writer_done; /* when all is still */
	assert(!looked || seen != epoch || held == visible)
}
