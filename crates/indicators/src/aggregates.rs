//! What windows keep of their values.
//! Never: a value of its own; see [`Aggregate`] for what is summed up.

use crate::number::Number;
use crate::window::{Aggregate, Item, Runs};
use std::marker::PhantomData;

/// The sum of the distances from the origin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sum;

impl Aggregate for Sum {
    type Item = f64;
    type Sums<F: Number> = F;
    #[inline(always)]
    fn empty<F: Number>() -> F {
        F::all(0.0)
    }
    #[inline(always)]
    fn newer<F: Number>(sum: F, x: F, origin: F, _: usize) -> F {
        sum + (x - origin)
    }
    #[inline(always)]
    fn join<F: Number>(older: F, newer: F, _: Runs) -> F {
        older + newer
    }
}

/// The sums of the distances from the origin and of their squares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moments;

#[derive(Clone, Copy, Debug)]
pub(crate) struct MomentsOf<F> {
    pub sum: F,
    pub squares: F,
}

impl Aggregate for Moments {
    type Item = f64;
    type Sums<F: Number> = MomentsOf<F>;
    #[inline(always)]
    fn empty<F: Number>() -> MomentsOf<F> {
        MomentsOf { sum: F::all(0.0), squares: F::all(0.0) }
    }
    #[inline(always)]
    fn newer<F: Number>(sums: MomentsOf<F>, x: F, origin: F, _: usize) -> MomentsOf<F> {
        let d = x - origin;
        MomentsOf { sum: sums.sum + d, squares: sums.squares + d * d }
    }
    #[inline(always)]
    fn join<F: Number>(older: MomentsOf<F>, newer: MomentsOf<F>, _: Runs) -> MomentsOf<F> {
        MomentsOf { sum: older.sum + newer.sum, squares: older.squares + newer.squares }
    }
}

impl<F: Number> MomentsOf<F> {
    /// The sum of squared distances from the mean, by one over the number of values. The origin is one of the values, so
    /// `squares` is at most that number times the result, and the difference loses no more than this factor. Never
    /// negative.
    #[inline(always)]
    pub fn spread(self, one_nth: f64) -> F {
        let spread = self.squares - self.sum * (self.sum * F::all(one_nth));
        F::all(0.0).greatest(spread)
    }
}

/// The sum of the distances from the origin, and that with each one times its rank; the oldest has rank 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranked;

#[derive(Clone, Copy, Debug)]
pub(crate) struct RankedOf<F> {
    pub sum: F,
    pub ranked: F,
}

impl Aggregate for Ranked {
    type Item = f64;
    type Sums<F: Number> = RankedOf<F>;
    #[inline(always)]
    fn empty<F: Number>() -> RankedOf<F> {
        RankedOf { sum: F::all(0.0), ranked: F::all(0.0) }
    }
    #[inline(always)]
    fn newer<F: Number>(sums: RankedOf<F>, x: F, origin: F, n: usize) -> RankedOf<F> {
        let d = x - origin;
        RankedOf { sum: sums.sum + d, ranked: sums.ranked + F::count(n) * d }
    }
    #[inline(always)]
    fn older<F: Number>(sums: RankedOf<F>, x: F, origin: F, _: usize) -> RankedOf<F> {
        let sum = sums.sum + (x - origin);
        RankedOf { sum, ranked: sums.ranked + sum }
    }
    #[inline(always)]
    fn join<F: Number>(older: RankedOf<F>, newer: RankedOf<F>, runs: Runs) -> RankedOf<F> {
        let ranked = (older.ranked + newer.ranked) + F::count(runs.older) * newer.sum;
        RankedOf { sum: older.sum + newer.sum, ranked }
    }
}

/// [`Moments`] of two values and the sum of their products, all by distances from the origins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Products;

#[derive(Clone, Copy, Debug)]
pub(crate) struct ProductsOf<F> {
    pub x: MomentsOf<F>,
    pub y: MomentsOf<F>,
    pub xy: F,
}

impl Aggregate for Products {
    type Item = [f64; 2];
    type Sums<F: Number> = ProductsOf<F>;
    #[inline(always)]
    fn empty<F: Number>() -> ProductsOf<F> {
        ProductsOf { x: Moments::empty(), y: Moments::empty(), xy: F::all(0.0) }
    }
    #[inline(always)]
    fn newer<F: Number>(sums: ProductsOf<F>, [x, y]: [F; 2], origin: [F; 2], n: usize) -> ProductsOf<F> {
        let xy = sums.xy + (x - origin[0]) * (y - origin[1]);
        let (x, y) = (Moments::newer(sums.x, x, origin[0], n), Moments::newer(sums.y, y, origin[1], n));
        ProductsOf { x, y, xy }
    }
    #[inline(always)]
    fn join<F: Number>(older: ProductsOf<F>, newer: ProductsOf<F>, runs: Runs) -> ProductsOf<F> {
        let (x, y) = (Moments::join(older.x, newer.x, runs), Moments::join(older.y, newer.y, runs));
        ProductsOf { x, y, xy: older.xy + newer.xy }
    }
}

/// Two plain sums.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Totals;

impl Aggregate for Totals {
    type Item = [f64; 2];
    type Sums<F: Number> = [F; 2];
    #[inline(always)]
    fn empty<F: Number>() -> [F; 2] {
        [F::all(0.0); 2]
    }
    #[inline(always)]
    fn newer<F: Number>(sums: [F; 2], x: [F; 2], _: [F; 2], _: usize) -> [F; 2] {
        [sums[0] + x[0], sums[1] + x[1]]
    }
    #[inline(always)]
    fn join<F: Number>(older: [F; 2], newer: [F; 2], _: Runs) -> [F; 2] {
        [older[0] + newer[0], older[1] + newer[1]]
    }
}

/// Volume, and the sum of price times volume, prices by their distance from the origin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traded;

#[derive(Clone, Copy, Debug)]
pub(crate) struct TradedOf<F> {
    pub money: F,
    pub volume: F,
}

impl Aggregate for Traded {
    type Item = [f64; 2];
    type Sums<F: Number> = TradedOf<F>;
    #[inline(always)]
    fn empty<F: Number>() -> TradedOf<F> {
        TradedOf { money: F::all(0.0), volume: F::all(0.0) }
    }
    #[inline(always)]
    fn newer<F: Number>(sums: TradedOf<F>, [price, volume]: [F; 2], origin: [F; 2], _: usize) -> TradedOf<F> {
        TradedOf { money: sums.money + (price - origin[0]) * volume, volume: sums.volume + volume }
    }
    #[inline(always)]
    fn join<F: Number>(older: TradedOf<F>, newer: TradedOf<F>, _: Runs) -> TradedOf<F> {
        TradedOf { money: older.money + newer.money, volume: older.volume + newer.volume }
    }
}

/// Nothing: for windows that only remember.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nothing<T>(PhantomData<T>);

impl<T: Item> Aggregate for Nothing<T> {
    type Item = T;
    type Sums<F: Number> = ();
    #[inline(always)]
    fn empty<F: Number>() {}
    #[inline(always)]
    fn newer<F: Number>(_: (), _: T::Of<F>, _: T::Of<F>, _: usize) {}
    #[inline(always)]
    fn join<F: Number>(_: (), _: (), _: Runs) {}
}

/// The lowest value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Least;

impl Aggregate for Least {
    type Item = f64;
    type Sums<F: Number> = F;
    #[inline(always)]
    fn empty<F: Number>() -> F {
        F::all(f64::INFINITY)
    }
    #[inline(always)]
    fn newer<F: Number>(least: F, x: F, _: F, _: usize) -> F {
        least.least(x)
    }
    #[inline(always)]
    fn join<F: Number>(older: F, newer: F, _: Runs) -> F {
        older.least(newer)
    }
}

/// The highest value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Greatest;

impl Aggregate for Greatest {
    type Item = f64;
    type Sums<F: Number> = F;
    #[inline(always)]
    fn empty<F: Number>() -> F {
        F::all(f64::NEG_INFINITY)
    }
    #[inline(always)]
    fn newer<F: Number>(greatest: F, x: F, _: F, _: usize) -> F {
        greatest.greatest(x)
    }
    #[inline(always)]
    fn join<F: Number>(older: F, newer: F, _: Runs) -> F {
        older.greatest(newer)
    }
}

/// How many values have come in since the lowest one; the newest of equals counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SinceLeast;

#[derive(Clone, Copy, Debug)]
pub(crate) struct SinceLeastOf<F> {
    least: F,
    pub age: F,
}

impl Aggregate for SinceLeast {
    type Item = f64;
    type Sums<F: Number> = SinceLeastOf<F>;
    #[inline(always)]
    fn empty<F: Number>() -> SinceLeastOf<F> {
        SinceLeastOf { least: F::all(f64::INFINITY), age: F::all(0.0) }
    }
    #[inline(always)]
    fn newer<F: Number>(since: SinceLeastOf<F>, x: F, _: F, _: usize) -> SinceLeastOf<F> {
        SinceLeast::join(since, SinceLeastOf { least: x, age: F::all(0.0) }, Runs { older: 0, newer: 1 })
    }
    #[inline(always)]
    fn older<F: Number>(since: SinceLeastOf<F>, x: F, _: F, n: usize) -> SinceLeastOf<F> {
        SinceLeast::join(SinceLeastOf { least: x, age: F::all(0.0) }, since, Runs { older: 1, newer: n - 1 })
    }
    #[inline(always)]
    fn join<F: Number>(older: SinceLeastOf<F>, newer: SinceLeastOf<F>, runs: Runs) -> SinceLeastOf<F> {
        let age = newer.age.where_at_most([newer.least, older.least], older.age + F::count(runs.newer));
        SinceLeastOf { least: older.least.least(newer.least), age }
    }
}
