/* Judges what is left of the records that program.c writes, or misbehaves as its first argument says. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Exits 1 when an acknowledged record is not there. */
static int judge(void)
{
	FILE *lines = fopen(getenv("COLDCUT_ACKED"), "r");
	char line[64], name[80];
	int lost = 0;

	if (!lines)
		return 2;
	while (fgets(line, sizeof line, lines)) {
		line[strcspn(line, "\n")] = 0;
		snprintf(name, sizeof name, "record-%s", line);
		if (access(name, F_OK) != 0) {
			printf("%s is lost\n", name);
			lost = 1;
		}
	}
	return lost;
}

/* Prints the numbers of the records that are there. */
static int dump(void)
{
	DIR *dir = opendir(".");
	struct dirent *entry;

	if (!dir)
		return 2;
	while ((entry = readdir(dir)))
		if (strncmp(entry->d_name, "record-", 7) == 0)
			puts(entry->d_name + 7);
	return 0;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "judge";

	if (strcmp(how, "dump") == 0)
		return dump();
	if (strcmp(how, "hang") == 0)
		for (;;)
			pause();
	if (strcmp(how, "flood") == 0)
		for (;;)
			puts("a line, and there are many more of it");
	if (strcmp(how, "fork") == 0) {
		/* Each in a session of its own, with the filesystem as its working directory. */
		for (int i = 0; i < 200; i++)
			if (fork() == 0) {
				setsid();
				close(1);
				close(2);
				for (;;)
					pause();
			}
		return judge();
	}
	if (strcmp(how, "memory") == 0)
		for (;;) {
			char *more = malloc(1 << 20);

			if (!more)
				return 2;
			memset(more, 1, 1 << 20);
		}
	if (strcmp(how, "unsure") == 0) {
		puts("it cannot tell");
		return 2;
	}
	return judge();
}
