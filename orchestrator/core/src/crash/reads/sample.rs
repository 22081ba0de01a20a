//! Drawing at random, the same in every run.

use super::BlockDigest;

/// Numbers that follow from a seed: digests of a counter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dice {
    seed: u64,
    rolled: u64,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, rolled: 0 }
    }

    /// A number below `sides`.
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.seed.to_le_bytes());
        bytes[8..].copy_from_slice(&self.rolled.to_le_bytes());
        self.rolled += 1;
        let digest = BlockDigest::of(&bytes).0;
        u64::from_le_bytes(std::array::from_fn(|index| digest[index])) % sides.max(1)
    }
}

/// A bounded choice from what is offered, each with the same chance (algorithm R of Vitter, "Random sampling with a
/// reservoir", 1985).
#[derive(Clone, Debug)]
pub(super) struct Reservoir<T> {
    kept: Vec<T>,
    most: usize,
    offered: u64,
    dice: Dice,
}

impl<T> Reservoir<T> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            kept: Vec::new(),
            most,
            offered: 0,
            dice: Dice::new(0),
        }
    }

    /// Offers one, which is only made if it is kept.
    pub(super) fn offer(&mut self, make: impl FnOnce() -> T) {
        self.offered += 1;
        if self.kept.len() < self.most {
            self.kept.push(make());
            return;
        }
        let slot = self.dice.roll(self.offered) as usize;
        if slot < self.most {
            self.kept[slot] = make();
        }
    }

    /// Draws so many, with replacement; each comes with dice of its own.
    pub(super) fn draw(&self, count: usize, seed: u64) -> impl Iterator<Item = (&T, Dice)> {
        let count = if self.kept.is_empty() { 0 } else { count };
        (0..count as u64).map(move |number| {
            let mut dice = Dice::new(seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            let slot = dice.roll(self.kept.len() as u64) as usize;
            (&self.kept[slot], dice)
        })
    }
}
