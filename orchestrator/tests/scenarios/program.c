/* Appends numbered records to a log. A record is acknowledged on standard output when it is durable, or too early. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int early = argc > 1 && strcmp(argv[1], "early") == 0;
	int fd = open("records", O_WRONLY | O_CREAT | O_APPEND, 0644);
	int dir = open(".", O_RDONLY);
	char name[32];

	if (fd < 0 || dir < 0 || fsync(dir) != 0)
		return 1;
	for (int i = 1; i <= 4; i++) {
		int file;

		snprintf(name, sizeof name, "record-%d", i);
		file = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
		if (file < 0 || write(file, name, strlen(name)) < 0)
			return 1;
		if (early)
			printf("ack %d\n", i);
		fflush(stdout);
		/* The host must have seen the early acknowledgement before the data can be durable. */
		if (early)
			usleep(300000);
		if (fsync(file) != 0 || fsync(dir) != 0)
			return 1;
		if (!early)
			printf("ack %d\n", i);
		printf("progress %d of 4\n", i);
		fflush(stdout);
		close(file);
	}
	return 0;
}
