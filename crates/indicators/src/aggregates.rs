//! What windows keep of their values.

use crate::window::{Aggregate, Item, Runs};

/// The sum of the distances from the origin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sum(pub f64);

impl Aggregate for Sum {
    type Item = f64;
    const EMPTY: Sum = Sum(0.0);
    #[inline(always)]
    fn newer(self, x: f64, origin: f64, _: usize) -> Sum {
        Sum(self.0 + (x - origin))
    }
    #[inline(always)]
    fn older(self, x: f64, origin: f64, n: usize) -> Sum {
        self.newer(x, origin, n)
    }
    #[inline(always)]
    fn join(older: Sum, newer: Sum, _: Runs) -> Sum {
        Sum(older.0 + newer.0)
    }
}

/// The sums of the distances from the origin and of their squares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moments {
    pub sum: f64,
    pub squares: f64,
}

impl Aggregate for Moments {
    type Item = f64;
    const EMPTY: Moments = Moments { sum: 0.0, squares: 0.0 };
    #[inline(always)]
    fn newer(self, x: f64, origin: f64, _: usize) -> Moments {
        let d = x - origin;
        Moments { sum: self.sum + d, squares: self.squares + d * d }
    }
    #[inline(always)]
    fn older(self, x: f64, origin: f64, n: usize) -> Moments {
        self.newer(x, origin, n)
    }
    #[inline(always)]
    fn join(older: Moments, newer: Moments, _: Runs) -> Moments {
        Moments { sum: older.sum + newer.sum, squares: older.squares + newer.squares }
    }
}

impl Moments {
    /// The sum of squared distances from the mean, by one over the number of values. The origin is one of the values, so
    /// `squares` is at most that number times the result, and the difference loses no more than this factor. Never
    /// negative.
    #[inline(always)]
    pub fn spread(self, one_nth: f64) -> f64 {
        let spread = self.squares - self.sum * (self.sum * one_nth);
        if spread > 0.0 { spread } else { 0.0 }
    }
}

/// A count as a float: one instruction, where all of a `usize` would take several. Counts are at most `MAX_PERIOD`.
#[inline(always)]
fn float(n: usize) -> f64 {
    f64::from(n as i32)
}

/// The sum of the distances from the origin, and that with each one times its rank; the oldest has rank 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranked {
    pub sum: f64,
    pub ranked: f64,
}

impl Aggregate for Ranked {
    type Item = f64;
    const EMPTY: Ranked = Ranked { sum: 0.0, ranked: 0.0 };
    #[inline(always)]
    fn newer(self, x: f64, origin: f64, n: usize) -> Ranked {
        let d = x - origin;
        Ranked { sum: self.sum + d, ranked: self.ranked + float(n) * d }
    }
    #[inline(always)]
    fn older(self, x: f64, origin: f64, _: usize) -> Ranked {
        let sum = self.sum + (x - origin);
        Ranked { sum, ranked: self.ranked + sum }
    }
    #[inline(always)]
    fn join(older: Ranked, newer: Ranked, runs: Runs) -> Ranked {
        let ranked = (older.ranked + newer.ranked) + float(runs.older) * newer.sum;
        Ranked { sum: older.sum + newer.sum, ranked }
    }
}

/// [`Moments`] of two values and the sum of their products, all by distances from the origins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Products {
    pub x: Moments,
    pub y: Moments,
    pub xy: f64,
}

impl Aggregate for Products {
    type Item = [f64; 2];
    const EMPTY: Products = Products { x: Moments::EMPTY, y: Moments::EMPTY, xy: 0.0 };
    #[inline(always)]
    fn newer(self, [x, y]: [f64; 2], [origin_x, origin_y]: [f64; 2], n: usize) -> Products {
        let xy = self.xy + (x - origin_x) * (y - origin_y);
        Products { x: self.x.newer(x, origin_x, n), y: self.y.newer(y, origin_y, n), xy }
    }
    #[inline(always)]
    fn older(self, x: [f64; 2], origin: [f64; 2], n: usize) -> Products {
        self.newer(x, origin, n)
    }
    #[inline(always)]
    fn join(older: Products, newer: Products, runs: Runs) -> Products {
        let (x, y) = (Moments::join(older.x, newer.x, runs), Moments::join(older.y, newer.y, runs));
        Products { x, y, xy: older.xy + newer.xy }
    }
}

/// Two plain sums.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Totals(pub [f64; 2]);

impl Aggregate for Totals {
    type Item = [f64; 2];
    const EMPTY: Totals = Totals([0.0; 2]);
    #[inline(always)]
    fn newer(self, x: [f64; 2], _: [f64; 2], _: usize) -> Totals {
        Totals([self.0[0] + x[0], self.0[1] + x[1]])
    }
    #[inline(always)]
    fn older(self, x: [f64; 2], origin: [f64; 2], n: usize) -> Totals {
        self.newer(x, origin, n)
    }
    #[inline(always)]
    fn join(older: Totals, newer: Totals, _: Runs) -> Totals {
        Totals([older.0[0] + newer.0[0], older.0[1] + newer.0[1]])
    }
}

/// Volume, and the sum of price times volume, prices by their distance from the origin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traded {
    pub money: f64,
    pub volume: f64,
}

impl Aggregate for Traded {
    type Item = [f64; 2];
    const EMPTY: Traded = Traded { money: 0.0, volume: 0.0 };
    #[inline(always)]
    fn newer(self, [price, volume]: [f64; 2], [origin, _]: [f64; 2], _: usize) -> Traded {
        Traded { money: self.money + (price - origin) * volume, volume: self.volume + volume }
    }
    #[inline(always)]
    fn older(self, x: [f64; 2], origin: [f64; 2], n: usize) -> Traded {
        self.newer(x, origin, n)
    }
    #[inline(always)]
    fn join(older: Traded, newer: Traded, _: Runs) -> Traded {
        Traded { money: older.money + newer.money, volume: older.volume + newer.volume }
    }
}

/// Nothing: for windows that only remember.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nothing<T>(std::marker::PhantomData<T>);

impl<T: Item> Aggregate for Nothing<T> {
    type Item = T;
    const EMPTY: Nothing<T> = Nothing(std::marker::PhantomData);
    #[inline(always)]
    fn newer(self, _: T, _: T, _: usize) -> Self {
        self
    }
    #[inline(always)]
    fn older(self, _: T, _: T, _: usize) -> Self {
        self
    }
    #[inline(always)]
    fn join(older: Self, _: Self, _: Runs) -> Self {
        older
    }
}

/// The lowest value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Least(pub f64);

impl Aggregate for Least {
    type Item = f64;
    const EMPTY: Least = Least(f64::INFINITY);
    // `f64::min` would first ask for NaN, which never gets here.
    #[inline(always)]
    fn newer(self, x: f64, _: f64, _: usize) -> Least {
        Least(if x < self.0 { x } else { self.0 })
    }
    #[inline(always)]
    fn older(self, x: f64, origin: f64, n: usize) -> Least {
        self.newer(x, origin, n)
    }
    #[inline(always)]
    fn join(older: Least, newer: Least, _: Runs) -> Least {
        older.newer(newer.0, 0.0, 0)
    }
}

/// The highest value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Greatest(pub f64);

impl Aggregate for Greatest {
    type Item = f64;
    const EMPTY: Greatest = Greatest(f64::NEG_INFINITY);
    #[inline(always)]
    fn newer(self, x: f64, _: f64, _: usize) -> Greatest {
        Greatest(if x > self.0 { x } else { self.0 })
    }
    #[inline(always)]
    fn older(self, x: f64, origin: f64, n: usize) -> Greatest {
        self.newer(x, origin, n)
    }
    #[inline(always)]
    fn join(older: Greatest, newer: Greatest, _: Runs) -> Greatest {
        older.newer(newer.0, 0.0, 0)
    }
}

/// How many values have come in since the lowest one; the newest of equals counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SinceLeast {
    least: f64,
    /// An integer, because those are selected without a branch.
    pub age: usize,
}

impl Aggregate for SinceLeast {
    type Item = f64;
    const EMPTY: SinceLeast = SinceLeast { least: f64::INFINITY, age: 0 };
    #[inline(always)]
    fn newer(self, x: f64, _: f64, _: usize) -> SinceLeast {
        SinceLeast::join(self, SinceLeast { least: x, age: 0 }, Runs { older: 0, newer: 1 })
    }
    #[inline(always)]
    fn older(self, x: f64, _: f64, n: usize) -> SinceLeast {
        SinceLeast::join(SinceLeast { least: x, age: 0 }, self, Runs { older: 1, newer: n - 1 })
    }
    #[inline(always)]
    fn join(older: SinceLeast, newer: SinceLeast, runs: Runs) -> SinceLeast {
        let in_newer = newer.least <= older.least;
        let least = if newer.least < older.least { newer.least } else { older.least };
        SinceLeast { least, age: if in_newer { newer.age } else { older.age + runs.newer } }
    }
}
