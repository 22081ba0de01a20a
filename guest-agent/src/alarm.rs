//! A deadline for calls that may block: past it the calling thread is signalled until it gives up.
//!
//! The signal's handler does nothing, and is installed without `SA_RESTART`: a call that can be interrupted ends with
//! EINTR. What cannot be interrupted (a wait for a lock or a page) ends when the kernel lets it.

use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use coldcut_wire::Failure;
use rustix::io::Errno;

use crate::failure::{Tried, refuse};

/// How often the signal is repeated: it may arrive just before the thread enters its call.
const AGAIN: Duration = Duration::from_millis(20);
/// Longest deadline.
const MAX_WITHIN: Duration = Duration::from_secs(3600);

/// A deadline of the thread that made it.
pub(crate) struct Alarm {
    within: Duration,
    at: Instant,
    rung: Arc<AtomicBool>,
    off: Option<SyncSender<()>>,
    watch: Option<JoinHandle<()>>,
}

/// A pthread_t, which is a plain number or address, for another thread to signal.
struct Thread(libc::pthread_t);
// SAFETY: pthread_kill(3) takes the id of any thread that has not been joined or detached and ended; the alarm is
// dropped (and its watch joined) by the thread that it names.
unsafe impl Send for Thread {}

extern "C" fn ignore(_: libc::c_int) {}

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: a zeroed sigaction with a handler that does nothing is valid.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = ignore as extern "C" fn(libc::c_int) as usize;
            libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut());
        }
    });
}

impl Alarm {
    /// Sets an alarm that goes off in `within_ms` milliseconds (an hour at most) unless dropped before.
    pub(crate) fn new(within_ms: u64) -> Result<Self, Failure> {
        install();
        let within = Duration::from_millis(within_ms);
        if within > MAX_WITHIN {
            return Err(refuse(format!(
                "a deadline of {within_ms} ms is over the limit of {} ms",
                MAX_WITHIN.as_millis()
            )));
        }
        let at = Instant::now() + within;
        // SAFETY: always succeeds.
        let thread = Thread(unsafe { libc::pthread_self() });
        let rung = Arc::new(AtomicBool::new(false));
        let (off, disarmed) = sync_channel::<()>(0);
        let watch = std::thread::Builder::new()
            .name("alarm".to_owned())
            .spawn({
                let rung = Arc::clone(&rung);
                move || {
                    let thread = thread;
                    let mut wait = within;
                    while disarmed.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                        rung.store(true, Ordering::SeqCst);
                        // SAFETY: see `Thread`.
                        unsafe { libc::pthread_kill(thread.0, libc::SIGUSR1) };
                        wait = AGAIN;
                    }
                }
            })
            .tried(|| "start a deadline's thread".to_owned())?;
        Ok(Self {
            within,
            at,
            rung,
            off: Some(off),
            watch: Some(watch),
        })
    }

    /// Tells whether time is up.
    pub(crate) fn rang(&self) -> bool {
        self.rung.load(Ordering::SeqCst) || Instant::now() >= self.at
    }

    /// Fails when time is up.
    pub(crate) fn check(&self, what: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.rang() {
            return Err(refuse(format!(
                "{}: not done within {} ms",
                what(),
                self.within.as_millis()
            )));
        }
        Ok(())
    }

    /// Sleeps, at most to the deadline.
    pub(crate) fn sleep(&self, time: Duration) {
        let left = self.at.saturating_duration_since(Instant::now());
        std::thread::sleep(time.min(left));
    }

    /// Repeats a call for as long as it is interrupted, and fails when time is up.
    pub(crate) fn call<T>(
        &self,
        what: impl Fn() -> String,
        mut call: impl FnMut() -> rustix::io::Result<T>,
    ) -> Result<rustix::io::Result<T>, Failure> {
        loop {
            self.check(&what)?;
            match call() {
                Err(Errno::INTR) => {}
                ended => return Ok(ended),
            }
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        drop(self.off.take());
        if let Some(watch) = self.watch.take() {
            let _ = watch.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_call_ends() {
        let (read, _write) = rustix::pipe::pipe().unwrap();
        let alarm = Alarm::new(50).unwrap();
        let start = Instant::now();
        let mut byte = [0];
        let ended = alarm.call(|| "read".to_owned(), || rustix::io::read(&read, &mut byte));
        assert_eq!(ended.unwrap_err().what, "read: not done within 50 ms");
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn what_ends_in_time_is_untouched() {
        let (read, write) = rustix::pipe::pipe().unwrap();
        let alarm = Alarm::new(60_000).unwrap();
        rustix::io::write(&write, &[7]).unwrap();
        let mut byte = [0];
        let ended = alarm.call(|| "read".to_owned(), || rustix::io::read(&read, &mut byte));
        assert_eq!((ended.unwrap(), byte), (Ok(1), [7]));
        assert!(!alarm.rang());
        let start = Instant::now();
        drop(alarm);
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "dropping does not wait for the deadline"
        );
    }

    #[test]
    fn a_deadline_has_a_limit() {
        assert!(Alarm::new(u64::MAX).is_err());
    }
}
