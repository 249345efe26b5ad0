//! Chance that can be repeated: the same seed gives the same choices.

use std::time::Duration;

/// A source of choices.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The source of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another source, which the choices of this one do not depend on.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// `SplitMix64`, which is enough for choices.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A time between both, short ones more often.
    pub fn time(&mut self, from: Duration, to: Duration) -> Duration {
        let share = self.below(1000) * self.below(1000);
        from + to.saturating_sub(from) * u32::try_from(share).unwrap_or_default() / 1_000_000
    }
}
