//! How fast a device is: a bandwidth that all requests share, and a latency that each has.

/// A device's speed, and until when it is busy. Times are nanoseconds of any one clock that does not go back.
///
/// Requests are served one after the other, in the order in which they are asked for: one that carries `n` bytes
/// occupies the device for `n / bandwidth` after the one before it. The latency is added to each and occupies nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Bytes a second; `None` is no limit.
    pub bandwidth: Option<u64>,
    /// Nanoseconds a request.
    pub latency: u64,
    free_at: u64,
}

impl Pace {
    /// A device of this speed that is not busy.
    pub fn new(bandwidth: Option<u64>, latency: u64) -> Self {
        Self {
            bandwidth,
            latency,
            free_at: 0,
        }
    }

    /// How long from `now` a request with so many bytes takes.
    pub fn delay(&mut self, now: u64, bytes: u64) -> u64 {
        let mut wait = 0;
        if let Some(bandwidth) = self.bandwidth {
            let busy = u128::from(bytes) * 1_000_000_000 / u128::from(bandwidth.max(1));
            let busy = u64::try_from(busy).unwrap_or(u64::MAX);
            self.free_at = self.free_at.max(now).saturating_add(busy);
            wait = self.free_at - now;
        }
        wait.saturating_add(self.latency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn requests_queue_and_an_idle_device_saves_nothing_up() {
        let mut pace = Pace::new(Some(1 << 20), 0);
        assert_eq!(pace.delay(0, 1 << 20), SECOND);
        assert_eq!(pace.delay(0, 1 << 19), SECOND + SECOND / 2);
        assert_eq!(
            pace.delay(SECOND, 0),
            SECOND / 2,
            "a flush waits for what is queued"
        );
        assert_eq!(pace.delay(10 * SECOND, 1 << 20), SECOND);
    }

    #[test]
    fn without_a_limit_only_the_latency_is_left() {
        let mut pace = Pace::new(None, 5);
        assert_eq!((pace.delay(0, 1 << 30), pace.delay(7, 0)), (5, 5));
        assert_eq!(Pace::default().delay(3, u64::MAX), 0);
    }

    proptest! {
        /// However requests come, no more than the bandwidth's bytes are done by any time (within rounding), and they
        /// are done in order.
        #[test]
        fn the_bandwidth_is_kept(
            requests in proptest::collection::vec((0u64..SECOND, 0u64..1 << 22), 1..50),
            bandwidth in 1u64..1 << 30,
        ) {
            let mut pace = Pace::new(Some(bandwidth), 0);
            let (mut now, mut bytes, mut last) = (0, 0u128, 0);
            for (gap, len) in requests {
                now += gap;
                bytes += u128::from(len);
                let done = now.saturating_add(pace.delay(now, len));
                prop_assert!(done >= last);
                // Each request may be rounded down by a nanosecond.
                prop_assert!(bytes * u128::from(SECOND) <= (u128::from(done) + 50) * u128::from(bandwidth));
                last = done;
            }
        }

        #[test]
        fn no_numbers_overflow(now: u64, bytes: u64, bandwidth: Option<u64>, latency: u64) {
            let mut pace = Pace::new(bandwidth, latency);
            pace.delay(now, bytes);
            pace.delay(now, bytes);
        }
    }
}
