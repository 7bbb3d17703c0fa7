/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a shared object exports, read from its section headers: the entry, and
 * nothing else. Only files of this machine's own kind are looked at; any other
 * could not be loaded anyway. Each offset is checked: the file may be anything.
 */
#include "inside.h"

#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct file {
	const char *bytes;
	size_t size;
};

static const void *at(const struct file *f, size_t offset, size_t size)
{
	if (offset > f->size || size > f->size - offset)
		return NULL;
	return f->bytes + offset;
}

/* Names of sanitizers' own, and of the linker's. */
static bool is_harmless(const char *name)
{
	static const char *const prefixes[] = { "__asan", "__ubsan",  "__tsan",
						"__odr",  "__sanitizer", "_init",
						"_fini",  "_edata", "_end",
						"__bss_start" };

	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

static void look_at_symbol(const struct file *f, const ElfW(Shdr) *strings,
			   const ElfW(Sym) *sym, kit_report *r)
{
	const char *names = at(f, strings->sh_offset, strings->sh_size);
	unsigned bind = sym->st_info >> 4;

	if (!names || sym->st_name >= strings->sh_size ||
	    sym->st_shndx == SHN_UNDEF || bind == STB_LOCAL ||
	    !memchr(names + sym->st_name, '\0', strings->sh_size - sym->st_name))
		return;
	const char *name = names + sym->st_name;
	if (strcmp(name, "acme_plugin_v0") != 0 && !is_harmless(name))
		kit_report_add(r, "load-alone", "exports '%s'", name);
}

static void look_at_file(const struct file *f, kit_report *r)
{
	const ElfW(Ehdr) *head = at(f, 0, sizeof *head);
	const ElfW(Shdr) *sections =
	    head && head->e_shentsize == sizeof *sections &&
		    !memcmp(head->e_ident, ELFMAG, SELFMAG)
		? at(f, head->e_shoff, head->e_shnum * sizeof *sections)
		: NULL;

	for (int i = 0; sections && i < head->e_shnum; i++) {
		const ElfW(Shdr) *s = &sections[i];
		const ElfW(Sym) *symbols = at(f, s->sh_offset, s->sh_size);
		if (s->sh_type != SHT_DYNSYM || s->sh_link >= head->e_shnum ||
		    !symbols)
			continue;
		for (size_t j = 1; j < s->sh_size / sizeof *symbols; j++)
			look_at_symbol(f, &sections[s->sh_link], &symbols[j],
				       r);
	}
}

void elf_exports(const char *path, kit_report *r)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct file f = { 0 };
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0) {
		f.size = (size_t)st.st_size;
		f.bytes = mmap(NULL, f.size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (f.bytes != MAP_FAILED) {
			look_at_file(&f, r);
			munmap((void *)(uintptr_t)f.bytes, f.size);
		}
	}
	if (fd >= 0)
		close(fd);
}
