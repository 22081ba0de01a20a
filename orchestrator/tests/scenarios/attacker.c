// A program of a stranger: it is root in the guest, and tries to speak for the agent. It says what it could reach, and
// `ack` only where it could reach nothing.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static int reached;

static void reach(int could, const char *what) {
    if (could) {
        printf("reached %s\n", what);
        reached++;
    }
}

// Copies the agent's descriptors, one of which is the host's port.
static void descriptors(pid_t pid) {
    int fd = syscall(SYS_pidfd_open, pid, 0);
    for (int number = 0; fd >= 0 && number < 64; number++) {
        int copy = syscall(SYS_pidfd_getfd, fd, number, 0);
        struct stat stat;
        if (copy > 2 && fstat(copy, &stat) == 0 && S_ISCHR(stat.st_mode) && getpid() != pid)
            reach(1, "a device of another process");
    }
}

static int is_self(const char *pid) { return atoi(pid) == getpid(); }

int main(void) {
    char path[300];
    reach(getpid() != 1 && kill(1, 0) == 0 && ptrace(PTRACE_SEIZE, 1, 0, 0) == 0, "PID 1 by ptrace");
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; proc && (entry = readdir(proc));) {
        if (atoi(entry->d_name) == 0 || is_self(entry->d_name))
            continue;
        descriptors(atoi(entry->d_name));
        snprintf(path, sizeof path, "/proc/%s/mem", entry->d_name);
        reach(open(path, O_RDWR) >= 0, path);
        snprintf(path, sizeof path, "/proc/%s/root/modules", entry->d_name);
        reach(access(path, F_OK) == 0 && access("/modules", F_OK) != 0, path);
    }
    const char *devices[] = {"/dev/console", "/dev/ttyS0", "/dev/hvc0", "/dev/kmsg", "/dev/mem", "/dev/port", "/dev/vport1p1",
                             "/dev/vport0p1", "/dev/vport2p1"};
    for (unsigned i = 0; i < sizeof devices / sizeof *devices; i++)
        reach(open(devices[i], O_RDWR | O_NONBLOCK) >= 0, devices[i]);
    // The console and the machine's memory, by their numbers.
    reach(mknod("/dev/mine", S_IFCHR | 0600, makedev(5, 1)) == 0, "the console by its number");
    reach(mknod("/tmp/mine", S_IFCHR | 0600, makedev(4, 64)) == 0, "the serial line by its number");
    reach(syscall(SYS_iopl, 3) == 0, "the machine's ports");
    reach(syscall(SYS_finit_module, 0, "", 0) == 0 || errno != EPERM, "the kernel's code");
    // The devices as they are in the guest: mounted again, or uncovered.
    mkdir("/tmp/devices", 0700);
    reach(mount("devtmpfs", "/tmp/devices", "devtmpfs", 0, 0) == 0, "every device, mounted again");
    reach(umount2("/dev", MNT_DETACH) == 0, "every device, uncovered");
    int pid = fork();
    if (pid == 0)
        _exit(unshare(CLONE_NEWNS) == 0 && mount("devtmpfs", "/tmp/devices", "devtmpfs", 0, 0) == 0);
    int status = 0;
    waitpid(pid, &status, 0);
    reach(status != 0, "every device, in a namespace of its own");
    // What the kernel would do in its own name: this would end the guest.
    int trigger = open("/proc/sysrq-trigger", O_WRONLY);
    reach(trigger >= 0 && write(trigger, "c", 1) == 1 && access("/dev/null", F_OK) != 0, "a panic at will");
    if (reached == 0)
        printf("ack nothing\n");
    fflush(stdout);
    return reached != 0;
}
