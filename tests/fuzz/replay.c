/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds each file of a folder (or each file named) to a fuzz target, so that
 * every ordinary build runs the seeds, with its sanitizers, in milliseconds.
 * The fuzz preset links libFuzzer in its place.
 */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	size_t len = 0, cap = 0, n;

	if (!file) {
		perror(path);
		return -1;
	}
	do { /* exactly `len` bytes at the end: overruns hit the red zone */
		cap = len + 65536;
		data = realloc(data, cap);
		if (!data)
			abort();
		n = fread(data + len, 1, cap - len, file);
		len += n;
	} while (n > 0);
	fclose(file);
	data = realloc(data, len ? len : 1);
	if (!data)
		abort();
	LLVMFuzzerTestOneInput(data, len);
	free(data);
	return 0;
}

static int replay_folder(const char *folder, int *count)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	char path[4096];
	int rc = 0;

	if (!dir) {
		perror(folder);
		return -1;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		rc |= replay_file(path);
		++*count;
	}
	closedir(dir);
	return rc;
}

int main(int argc, char **argv)
{
	struct stat st;
	int rc = 0, count = 0;

	for (int i = 1; i < argc; i++) {
		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)) {
			rc |= replay_folder(argv[i], &count);
		} else {
			rc |= replay_file(argv[i]);
			count++;
		}
	}
	printf("%d inputs\n", count);
	if (count == 0)
		fprintf(stderr, "no seeds\n");
	return rc == 0 && count > 0 ? 0 : 1;
}
