//! How many tests start machines at once, whoever runs the tests.

use std::sync::{Condvar, Mutex, PoisonError};

/// Tests with machines at once, as in `.config/nextest.toml`: each starts two or more, which fills a small computer.
const AT_ONCE: usize = 2;

static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// A test's turn, until its thread ends.
struct Turn;

impl Turn {
    fn wait() -> Self {
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut running = ENDED
            .wait_while(running, |running| *running >= AT_ONCE)
            .unwrap_or_else(PoisonError::into_inner);
        *running += 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}

thread_local! {
    static TURN: Turn = Turn::wait();
}

/// Waits until this test may start machines. It may until it ends, however often this is called; the harness gives each
/// test a thread.
pub fn take() {
    TURN.with(|_| ());
}

/// Whatever threads ask at once, no more than the bound have a turn, and each gets one.
#[test]
fn no_more_tests_than_the_bound_have_a_turn() {
    let threads: Vec<_> = (0..4 * AT_ONCE)
        .map(|_| {
            std::thread::spawn(|| {
                take();
                take();
                let running = *RUNNING.lock().unwrap();
                std::thread::sleep(std::time::Duration::from_millis(5));
                running
            })
        })
        .collect();
    for thread in threads {
        let running = thread.join().unwrap();
        assert!((1..=AT_ONCE).contains(&running), "{running} at once");
    }
}
