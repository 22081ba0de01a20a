/*
 * Runs in the guest, as root, with ioctls alone: no dmsetup, no udev.
 *
 * guest DISK DATA_BYTES: cuts DISK into a data and a log part (dm-linear), puts dm-log-writes over the two, mounts the
 * ext4 filesystem that the data part holds, changes it in ways that a log should show, and takes everything apart, so
 * that the target writes its closing mark. Interfaces: linux/dm-ioctl.h, linux/fs.h, and the kernel's
 * Documentation/admin-guide/device-mapper/log-writes.rst for the target's table line and messages.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MOUNT "/tmp/fixture"
#define BLOCK 4096

static int control;

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static void must(int result, const char *what)
{
	if (result < 0)
		die(what);
}

/* A device-mapper request: the fixed part, and room for a table line or a message. */
struct request {
	struct dm_ioctl head;
	char rest[1024];
};

static void start(struct request *request, const char *name)
{
	memset(request, 0, sizeof *request);
	request->head.version[0] = DM_VERSION_MAJOR;
	request->head.data_size = sizeof *request;
	request->head.data_start = sizeof request->head;
	snprintf(request->head.name, sizeof request->head.name, "%s", name);
}

static void send(unsigned long number, struct request *request, const char *what)
{
	must(ioctl(control, number, request), what);
}

/* Makes a device with a table of one line; its number as `major:minor`, and its node's path. */
static void create(const char *name, uint64_t sectors, const char *type, const char *line, char id[32], char node[64])
{
	struct request request;

	start(&request, name);
	send(DM_DEV_CREATE, &request, "DM_DEV_CREATE");
	dev_t device = request.head.dev;

	start(&request, name);
	request.head.target_count = 1;
	struct dm_target_spec *spec = (void *)request.rest;
	spec->length = sectors;
	spec->next = sizeof request.rest;
	snprintf(spec->target_type, sizeof spec->target_type, "%s", type);
	snprintf((char *)(spec + 1), sizeof request.rest - sizeof *spec, "%s", line);
	send(DM_TABLE_LOAD, &request, line);

	start(&request, name);
	send(DM_DEV_SUSPEND, &request, "resume");

	snprintf(id, 32, "%u:%u", major(device), minor(device));
	snprintf(node, 64, "/dev/%s", name);
	must(mknod(node, S_IFBLK | 0600, device), node);
}

static void take_away(const char *name)
{
	struct request request;

	start(&request, name);
	send(DM_DEV_REMOVE, &request, "DM_DEV_REMOVE");
}

static void mark(const char *text)
{
	struct request request;

	start(&request, "logged");
	struct dm_target_msg *message = (void *)request.rest;
	snprintf(message->message, sizeof request.rest - sizeof *message, "mark %s", text);
	send(DM_TARGET_MSG, &request, text);
}

/* Writes `blocks` blocks that say whose they are; `letter` tells generations apart. */
static void put(int fd, int blocks, off_t at, char letter)
{
	static char block[BLOCK] __attribute__((aligned(BLOCK)));

	for (int i = 0; i < blocks; i++) {
		memset(block, letter, sizeof block);
		snprintf(block, sizeof block, "generation %c, block %d", letter, i);
		if (pwrite(fd, block, sizeof block, at + (off_t)i * BLOCK) != BLOCK)
			die("pwrite");
	}
}

static int put_file(const char *path, int blocks, char letter)
{
	int fd = open(path, O_CREAT | O_RDWR, 0644);

	must(fd, path);
	put(fd, blocks, 0, letter);
	return fd;
}

static void work(void)
{
	char path[64];

	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof path, MOUNT "/file-%d", i);
		int fd = put_file(path, 2 + i, 'a' + i);
		must(fsync(fd), "fsync");
		close(fd);
	}
	mark("created");

	/* A replacing rename after fsync; the rename itself becomes durable with the directory's fsync. */
	int fd = put_file(MOUNT "/new", 3, 'n');
	must(fsync(fd), "fsync");
	close(fd);
	must(rename(MOUNT "/new", MOUNT "/file-0"), "rename");
	mark("renamed");
	int dir = open(MOUNT, O_RDONLY | O_DIRECTORY);
	must(dir, MOUNT);
	must(fsync(dir), "fsync of the directory");
	mark("rename-durable");

	/* Overwriting in place, with and without a flush; O_DSYNC makes the filesystem use FUA. */
	fd = open(MOUNT "/file-1", O_RDWR | O_DIRECT);
	must(fd, "file-1");
	put(fd, 1, 0, 'x');
	mark("overwritten-in-cache");
	put(fd, 1, 0, 'y');
	must(fdatasync(fd), "fdatasync");
	close(fd);
	mark("overwritten");
	fd = open(MOUNT "/file-1", O_RDWR | O_DIRECT | O_DSYNC);
	must(fd, "file-1");
	put(fd, 2, 0, 'z');
	close(fd);
	mark("overwritten-dsync");

	must(mkdir(MOUNT "/dir", 0755), "mkdir");
	must(link(MOUNT "/file-2", MOUNT "/dir/link"), "link");
	must(unlink(MOUNT "/file-1"), "unlink");
	must(fsync(dir), "fsync of the directory");
	mark("unlinked");

	/* Discards all free space; the target logs that late, with the next flush. */
	struct fstrim_range range = { .start = 0, .len = UINT64_MAX, .minlen = 0 };
	must(ioctl(dir, FITRIM, &range), "FITRIM");
	mark("trimmed");
	fd = put_file(MOUNT "/after-trim", 2, 't');
	must(fsync(fd), "fsync");
	close(fd);
	close(dir);
	/* Device-mapper splits messages at spaces; a backslash keeps one. */
	mark("end\\ of\\ work");
}

int main(int argc, char **argv)
{
	char data[32], log[32], logged[32], node[64], line[128];
	uint64_t bytes;

	if (argc != 3) {
		fprintf(stderr, "usage: guest DISK DATA_BYTES\n");
		return 2;
	}
	uint64_t sectors = strtoull(argv[2], NULL, 10) / 512;
	int disk = open(argv[1], O_RDONLY);
	must(disk, argv[1]);
	must(ioctl(disk, BLKGETSIZE64, &bytes), "BLKGETSIZE64");
	struct stat stat;
	must(fstat(disk, &stat), argv[1]);
	close(disk);
	control = open("/dev/mapper/control", O_RDWR);
	must(control, "/dev/mapper/control");

	unsigned int a = major(stat.st_rdev), b = minor(stat.st_rdev);
	snprintf(line, sizeof line, "%u:%u 0", a, b);
	create("data", sectors, "linear", line, data, node);
	snprintf(line, sizeof line, "%u:%u %llu", a, b, (unsigned long long)sectors);
	create("log", bytes / 512 - sectors, "linear", line, log, node);
	snprintf(line, sizeof line, "%s %s", data, log);
	create("logged", sectors, "log-writes", line, logged, node);

	mark("start");
	must(mkdir(MOUNT, 0755), MOUNT);
	must(mount(node, MOUNT, "ext4", MS_NOATIME, ""), "mount");
	mark("mounted");
	work();
	must(umount(MOUNT), "umount");
	mark("unmounted");

	/* Past the filesystem, into the device's last blocks: what no flush follows must still be in the log, before its
	 * closing mark. The discard overlaps the first of the two writes. */
	int raw = open(node, O_RDWR | O_DIRECT);
	must(raw, node);
	off_t tail = (off_t)sectors * 512 - 4 * BLOCK;
	put(raw, 3, tail, 'u');
	must(fsync(raw), "fsync of the device");
	mark("tail-flushed");
	put(raw, 2, tail, 'v');
	uint64_t discard[2] = { tail + BLOCK, 2 * BLOCK };
	must(ioctl(raw, BLKDISCARD, discard), "BLKDISCARD");
	put(raw, 1, tail + 2 * BLOCK, 'w');
	mark("tail-unflushed");
	close(raw);

	take_away("logged");
	take_away("log");
	take_away("data");
	printf("done\n");
	return 0;
}
