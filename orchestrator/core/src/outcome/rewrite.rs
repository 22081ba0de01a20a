//! When to write a file again that holds everything so far.

/// Up to so many items, the file is written with each.
const FEW: usize = 16;

/// Decides when to write a file again that holds every item so far: with each item while they are few, then whenever
/// there are three times as many as the last time. All writings together write at most about half as much again as the
/// last one does, so the time that they take grows with the items, and not with their square.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rewrites {
    next: usize,
}

impl Rewrites {
    /// Whether to write it now that there are `count` items. If so, the next time is put off.
    pub fn due(&mut self, count: usize) -> bool {
        let due = count >= self.next;
        if due {
            self.next = if count < FEW { count + 1 } else { count * 3 };
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_items_are_written_at_once_and_many_in_linear_time() {
        let mut rewrites = Rewrites::default();
        assert!((0..=FEW).all(|count| rewrites.due(count)));
        assert!(!rewrites.due(FEW + 1));
        for most in [100, 10_000, 1_000_000] {
            let mut rewrites = Rewrites::default();
            let written: usize = (0..=most).filter(|count| rewrites.due(*count)).sum();
            assert!(written <= 3 * most / 2 + FEW * FEW, "{written} items for {most}");
        }
    }
}
