//! Telling whether a guest's clock can be believed.

use std::time::Duration;

/// Why a guest's clock is wrong, if it is: no call in the guest can have taken longer than the host waited for its answer. A
/// kernel that measured its clock while the host was busy may have one that runs too fast.
pub(crate) fn wrong_clock(step: &str, nanos: u64, waited: Duration) -> Option<String> {
    let most = waited + waited / 4 + Duration::from_millis(20);
    (Duration::from_nanos(nanos) > most).then(|| {
        format!(
            "the guest's clock is wrong: `{step}` took {} ms by it, within {} ms of the host's",
            nanos / 1_000_000,
            waited.as_millis()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_cannot_take_longer_than_the_host_waited() {
        let ms = Duration::from_millis;
        for (nanos, waited) in [(0, 0), (15_000_000, 0), (1_000_000_000, 1000), (5, 60_000)] {
            assert_eq!(wrong_clock("write", nanos, ms(waited)), None);
        }
        let wrong = wrong_clock("write", 120_000_000_000, ms(4000)).unwrap();
        assert!(wrong.contains("clock is wrong"), "{wrong}");
    }
}
