//! System calls that programs in the guest may not make: those by which they would undo what keeps them apart.
//!
//! Programs keep `CAP_SYS_ADMIN`, which FITRIM, FIFREEZE and `trusted.` attributes ask for. With it they could also mount the
//! guest's own devices again, or unmount what hides them. A filter (seccomp(2), BPF as in Documentation/userspace-api/
//! seccomp_filter.rst) answers EPERM to these, in both of the architecture's tables.

use std::io;

/// `AUDIT_ARCH_X86_64` and `AUDIT_ARCH_I386` of linux/audit.h.
const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;
/// What the numbers of the x32 table have (`__X32_SYSCALL_BIT`).
const X32: u32 = 0x4000_0000;

/// mount, umount2, pivot_root, setns, open_tree, move_mount, fsopen, fsmount, fspick, mount_setattr, bpf, pidfd_getfd,
/// open_tree_attr, process_vm_writev; of arch/x86/entry/syscalls/syscall_64.tbl.
const OF_X86_64: [u32; 14] = [
    165, 166, 155, 308, 428, 429, 430, 432, 433, 442, 321, 438, 467, 311,
];
/// The same of syscall_32.tbl, and umount.
const OF_I386: [u32; 15] = [
    21, 52, 217, 346, 428, 429, 430, 432, 433, 442, 357, 438, 467, 348, 22,
];

/// Five instructions before the first table, two after it, two after the second.
const LENGTH: usize = OF_X86_64.len() + OF_I386.len() + 9;
const DENY: usize = LENGTH - 1;

/// The filter's instructions.
static FILTER: [libc::sock_filter; LENGTH] = filter();

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
/// Where `struct seccomp_data` has the call's number and the architecture.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

const fn filter() -> [libc::sock_filter; LENGTH] {
    let mut all = [plain(RETURN, libc::SECCOMP_RET_ALLOW); LENGTH];
    let second = 6 + OF_X86_64.len();
    all[0] = plain(LOAD, ARCHITECTURE);
    all[1] = jump(EQUAL, 1, I386, second, 2);
    all[2] = jump(EQUAL, 2, X86_64, 3, DENY);
    all[3] = plain(LOAD, NUMBER);
    all[4] = jump(AT_LEAST, 4, X32, DENY, 5);
    let mut at = 5;
    while at < second - 1 {
        all[at] = jump(EQUAL, at, OF_X86_64[at - 5], DENY, at + 1);
        at += 1;
    }
    all[second] = plain(LOAD, NUMBER);
    at = second + 1;
    while at < DENY - 1 {
        all[at] = jump(EQUAL, at, OF_I386[at - second - 1], DENY, at + 1);
        at += 1;
    }
    all[DENY] = plain(RETURN, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
    all
}

const fn plain(code: u16, k: u32) -> libc::sock_filter {
    let (jt, jf) = (0, 0);
    libc::sock_filter { code, jt, jf, k }
}

/// An instruction at `at` that goes on at `yes` or at `no`.
const fn jump(code: u16, at: usize, k: u32, yes: usize, no: usize) -> libc::sock_filter {
    let (jt, jf) = ((yes - at - 1) as u8, (no - at - 1) as u8);
    libc::sock_filter { code, jt, jf, k }
}

/// Has the kernel refuse them to this process and its children. Called between fork and exec, it makes system calls only.
pub(super) fn refuse() -> io::Result<()> {
    let program = libc::sock_fprog {
        len: LENGTH as u16,
        filter: (&raw const FILTER).cast_mut().cast(),
    };
    // SAFETY: the kernel copies the instructions, which are not changed.
    let result = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    if result == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // A kernel without filters.
        Some(libc::EINVAL) => Ok(()),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the filter as the kernel does.
    fn answer(architecture: u32, number: u32) -> u32 {
        let (mut accumulator, mut at) = (0, 0);
        loop {
            let step = &FILTER[at];
            at += 1;
            let branch = |taken| usize::from(if taken { step.jt } else { step.jf });
            match step.code {
                LOAD if step.k == ARCHITECTURE => accumulator = architecture,
                LOAD => accumulator = number,
                EQUAL => at += branch(accumulator == step.k),
                AT_LEAST => at += branch(accumulator >= step.k),
                RETURN => return step.k,
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn what_undoes_the_separation_is_refused_and_nothing_else() {
        let deny = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
        for (architecture, table) in [(X86_64, &OF_X86_64[..]), (I386, &OF_I386[..])] {
            for number in 0..600 {
                let wanted = if table.contains(&number) {
                    deny
                } else {
                    libc::SECCOMP_RET_ALLOW
                };
                assert_eq!(answer(architecture, number), wanted, "{architecture:x} {number}");
            }
        }
        assert_eq!(answer(X86_64, X32 | 1), deny);
        assert_eq!(answer(0xc000_00b7, 0), deny, "another architecture");
        for call in [
            libc::SYS_mount,
            libc::SYS_umount2,
            libc::SYS_setns,
            libc::SYS_bpf,
            libc::SYS_pidfd_getfd,
        ] {
            assert_eq!(answer(X86_64, call as u32), deny);
        }
    }
}
